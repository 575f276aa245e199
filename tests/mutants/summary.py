"""What a run with mutants prints at its end: how many there were, and how many died."""

from typing import Any


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The numbers of each kind are printed."""
    reports = [it for many in terminalreporter.stats.values() for it in many]
    lines = sorted(
        str(value)
        for report in reports
        if getattr(report, "when", "") == "call"
        for name, value in report.user_properties
        if name == "mutants"
    )
    if lines:
        terminalreporter.section("mutants")
    for line in lines:
        terminalreporter.write_line(line)
