"""How long whoever fails waits."""

from __future__ import annotations

import pytest

from sidecar.accounts.throttling import FOR_AN_ACCOUNT, Patience, neighbourhood, of_account, of_account_at


def test_each_failure_after_the_free_ones_doubles_the_wait_up_to_an_end():
    """Never for good: whoever forgot a password must be able to find it."""
    patience = Patience(free=3, at_most_s=10)

    assert [patience.wait_s(failures) for failures in range(9)] == [0, 0, 0, 1, 2, 4, 8, 10, 10]
    assert FOR_AN_ACCOUNT.wait_s(10**9) == 60


@pytest.mark.parametrize(
    ("one", "other"),
    [("2001:db8:1:2::1", "2001:db8:1:2:ffff::2"), ("192.0.2.1", "192.0.2.1"), ("nowhere", "nowhere")],
)
def test_whoever_has_many_addresses_counts_as_one(one: str, other: str):
    """An IPv6 network of one household has more addresses than anybody can try passwords."""
    assert neighbourhood(one) == neighbourhood(other)


def test_neighbours_are_not_taken_for_one_another():
    """Each IPv4 address is its own."""
    assert neighbourhood("192.0.2.1") != neighbourhood("192.0.2.2")
    assert neighbourhood("2001:db8:1:2::1") != neighbourhood("2001:db8:1:3::1")


def test_a_name_is_counted_however_it_is_written():
    """Else capital letters would buy tries."""
    assert of_account("Ada") == of_account("ADA ")
    assert of_account_at("Ada", "192.0.2.1") == of_account_at("ADA ", "192.0.2.1")
