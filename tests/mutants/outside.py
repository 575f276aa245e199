"""What no mutant is shown to, and why: modules by the end of their name, and tests."""

MODULES = {
    "_costs": "measures",
    "_cost": "measures",
    "_plans": "measures",
    "_existence": "asks for each cell of the matrix twice, which is slow",
    "_races": "needs several connections",
    "_wall": "compares with a recorded file, which would notice everything",
    "_least_rights": "compares with a recorded file",
}
TESTS = {
    "test_a_deep_session_is_deleted_whole": "slow, about depth",
    "test_a_page_has_a_message_at_least_and_about_4_mb_at_most": "slow, about size",
    "test_a_page_costs_what_it_shows_however_many_runs_lie_behind_it": "measures",
    "test_each_check_is_broken_here": "reads the catalogue, where somebody must break the check",
    "test_hundreds_of_cancelled_runs_end_in_turns_of_bounded_length": "measures",
    "test_reports_touch_no_index": "measures",
    "test_the_end_is_found_by_an_index_however_many_runs_a_session_has": "measures",
}
