"""The population: the best networks so far."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Member:
    """A network that may become a parent. Of equal fitness the older one, of the lower index, is the better."""

    fitness: float
    minus_index: int
    genome: bytes

    @property
    def index(self) -> int:
        """The number of its evaluation."""
        return -self.minus_index


class Population:
    """The `size` best of all members that were added, or of the last `lifetime` if that is given.

    With a lifetime, networks die of age however good they are, and a lucky evaluation does not rule for ever: Real
    et al., "Regularized evolution for image classifier architecture search", AAAI 2019.
    """

    def __init__(self, size: int, lifetime: int | None = None) -> None:
        if lifetime is not None and lifetime < size:
            raise ValueError(f"a lifetime of {lifetime} leaves no population of {size}")
        self.size = size
        self.members: list[Member] = []  # the least fit first
        self._living: deque[Member] | None = None if lifetime is None else deque(maxlen=lifetime)

    @property
    def full(self) -> bool:
        """Whether there are as many members as there can be."""
        return len(self.members) == self.size

    def add(self, member: Member) -> None:
        """Take in a member, if it is good enough."""
        if self._living is not None:
            self._bury(self._living, member)
        insort(self.members, member)
        if len(self.members) > self.size:
            self.members.pop(0)

    def _bury(self, living: deque[Member], newest: Member) -> None:
        """Let the oldest go if the newest takes its place, and the best of the others move up."""
        oldest = living[0] if len(living) == living.maxlen else None
        living.append(newest)
        if oldest is None:
            return
        place = bisect_left(self.members, oldest)
        if place < len(self.members) and self.members[place] == oldest:
            del self.members[place]
            inside = set(self.members)
            others = [member for member in living if member not in inside and member is not newest]
            if others:
                insort(self.members, max(others))
