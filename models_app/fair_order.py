"""Whose training is next: people take turns, so that one who asks for twenty does not keep the others waiting."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A training that waits."""

    job_id: str
    user_id: str


def in_turn(waiting: Iterable[Waiting], running: Mapping[str, int]) -> tuple[Waiting, ...]:
    """Those that wait (the longest waiting first) in the order in which they begin; ``running`` counts by person.

    A training counts as later the more of its owner's, waiting or running, are before it. The one with fewer is
    first, and among equals the one that has waited longer.
    """
    taken = Counter(running)
    ranked = []
    for place, each in enumerate(waiting):
        ranked.append((taken[each.user_id], place, each))
        taken[each.user_id] += 1
    return tuple(each for _, _, each in sorted(ranked, key=lambda entry: entry[:2]))
