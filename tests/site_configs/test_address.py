"""The address at which nodes reach this machine."""

import re
import socket
from types import SimpleNamespace

import psutil
import pytest

from data_prep.errors import InputError
from site_configs.address import address_of, loopback


def address(family, text):
    return SimpleNamespace(family=family, address=text)


@pytest.fixture(autouse=True)
def _login_node(monkeypatch):
    """A login node with a fast network, and an interface that has no IPv4 address."""
    there = {
        "lo": [address(socket.AF_INET, "127.0.0.1"), address(socket.AF_INET6, "::1")],
        "hsn0": [
            address(psutil.AF_LINK, "02:00:00:00:00:01"),
            address(socket.AF_INET6, "fe80::1%hsn0"),
            address(socket.AF_INET, "10.128.0.7"),
            address(socket.AF_INET, "10.129.0.7"),
        ],
        "ib1": [address(psutil.AF_LINK, "02:00:00:00:00:02"), address(socket.AF_INET6, "fe80::2%ib1")],
        "bond0": [address(socket.AF_INET, "172.16.0.3")],
        "down0": [],
    }
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: there)


def test_it_is_the_ipv4_address_of_the_interface():
    assert address_of("bond0") == "172.16.0.3"
    assert address_of("hsn0") == "10.128.0.7"  # the first of several


@pytest.mark.parametrize("name", ["ib0", "ib1", "down0", "HSN0", "hsn", ""])
def test_an_interface_that_cannot_be_used_is_refused_and_those_that_can_are_named(name):
    with pytest.raises(InputError, match=re.escape(f"no network interface '{name}'")) as refused:
        address_of(name)
    message = str(refused.value)
    assert message.startswith("site.interface: ")
    assert message.endswith("there are bond0, hsn0, lo")
    assert "\n" not in message


def test_this_very_machine_has_addresses(monkeypatch):
    monkeypatch.undo()
    found = {
        name: [a.address for a in there if a.family == socket.AF_INET] for name, there in psutil.net_if_addrs().items()
    }
    assert any("127.0.0.1" in addresses for addresses in found.values())
    for name, addresses in found.items():
        if addresses:
            assert address_of(name) in addresses


def test_the_interface_that_only_this_machine_can_reach_is_found(monkeypatch):
    assert loopback() == "lo"
    there = {"hsn0": [address(socket.AF_INET, "10.128.0.7")], "lo0": [address(socket.AF_INET, "127.0.0.1")]}
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: there)
    assert loopback() == "lo0"  # as BSD and macOS call it
    monkeypatch.undo()
    assert address_of(loopback()) == "127.0.0.1"
