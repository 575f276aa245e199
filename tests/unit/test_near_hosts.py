"""Which hosts are asked without TLS."""

import pytest

from backend.integrations.supabase.near_hosts import is_near


@pytest.mark.parametrize("host", ["", "134744072", "0x8080808", "8.8.8.8", "db.example.com", "-"])
def test_a_host_that_may_be_anywhere_is_not_near(host: str) -> None:
    assert not is_near(host)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "10.0.0.7", "kong"])
def test_this_machine_and_its_own_network_are_near(host: str) -> None:
    assert is_near(host)
