"""The address at which nodes reach this machine."""

from __future__ import annotations

import socket

import psutil

from data_prep.errors import InputError


def address_of(interface: str) -> str:
    """The IPv4 address of a network interface of this machine. Raises InputError if there is none."""
    there = psutil.net_if_addrs()
    for address in there.get(interface, ()):
        if address.family is socket.AF_INET:
            return str(address.address)
    others = ", ".join(sorted(name for name, found in there.items() if any(a.family is socket.AF_INET for a in found)))
    raise InputError(
        f"site.interface: this machine has no network interface '{interface}' with an address; there are {others}"
    )


def loopback() -> str:
    """The network interface of this machine that only itself can reach."""
    addresses = psutil.net_if_addrs().items()
    return next((name for name, found in addresses if any(one.address == "127.0.0.1" for one in found)), "lo")
