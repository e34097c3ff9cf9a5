"""Who an address is, without the address."""

from __future__ import annotations

import pytest

from sidecar.limits.persons import hashed, is_here

TODAY, TOMORROW = b"t" * 32, b"m" * 32


def test_an_address_has_another_id_every_day():
    """Nobody can follow it over days, nor without the salt find out which it is."""
    assert hashed("192.0.2.1", TODAY) == hashed("192.0.2.1", TODAY)
    assert hashed("192.0.2.1", TODAY) != hashed("192.0.2.1", TOMORROW)
    assert hashed("192.0.2.1", TODAY) != hashed("192.0.2.2", TODAY)


def test_whoever_has_an_ipv6_network_is_one_person():
    """They may take another address in it for each request."""
    assert hashed("2001:db8::1", TODAY) == hashed("2001:db8::ffff:ffff:ffff:ffff", TODAY)
    assert hashed("2001:db8::1", TODAY) != hashed("2001:db8:0:1::1", TODAY)


def test_ipv4_is_the_same_however_it_came():
    assert hashed("::ffff:192.0.2.1", TODAY) == hashed("192.0.2.1", TODAY)


def test_an_id_made_of_an_address_is_no_ones_id():
    """Ids of people are of another version (RFC 9562)."""
    assert hashed("192.0.2.1", TODAY).version == 8


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.0.1", "::1", "::ffff:127.0.0.1", "", "unknown"])
def test_who_sits_at_this_machine_is_known(address: str):
    """So is who comes from nowhere, such as a test."""
    assert is_here(address)


def test_somebody_in_the_house_sits_elsewhere():
    assert not is_here("192.168.1.7")
