"""Which finalists are trained on how many seeds, so that all can end in the time that there is."""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from results.records import TrialRecord
from results.wording import counted, duration

Cost = Callable[[TrialRecord, int], float]
"""Seconds that are left of the training of a finalist on one of the seeds, which have numbers from 0 on."""


@dataclass(frozen=True)
class Plan:
    """The finalists, and on how many seeds each is trained."""

    finalists: tuple[TrialRecord, ...]
    seeds: int
    seconds: float
    """That it takes by what was measured; without a finalist, that of one training of the best one."""
    note: str | None = None
    """What the time does not allow."""


def plan(contenders: Sequence[TrialRecord], seeds: int, cost: Cost, at_a_time: int, left: float | None) -> Plan:
    """Plan for as many finalists as there is time for, and then as many seeds: at least one of each.

    Args:
        contenders: those that may win, the best first.
        seeds: the most.
        cost: of one training.
        at_a_time: how many trainings run beside each other.
        left: seconds; None for no limit.
    """
    if not contenders:
        return Plan((), 0, 0.0)
    whole = _seconds(contenders, seeds, cost, at_a_time)
    for count in range(len(contenders), 0, -1):
        for each in range(seeds, 0, -1):
            seconds = _seconds(contenders[:count], each, cost, at_a_time)
            if left is None or seconds <= left:
                note = None if (count, each) == (len(contenders), seeds) else _fewer(contenders, seeds, whole, left)
                return Plan(tuple(contenders[:count]), each, seconds, note)
    one = cost(contenders[0], 0)
    return Plan((), 0, one, f"No finalist: one training of trial {contenders[0].trial} {_too_long(one, left)}")


def _fewer(contenders: Sequence[TrialRecord], seeds: int, seconds: float, left: float | None) -> str:
    asked = f"{counted(len(contenders), 'finalist')} on {counted(seeds, 'seed')}"
    return f"Fewer trainings of finalists: {asked} {_too_long(seconds, left)}"


def _too_long(seconds: float, left: float | None) -> str:
    return f"would take about {duration(seconds)}, and there are {duration(max(0.0, left or 0.0))}"


def _seconds(finalists: Sequence[TrialRecord], seeds: int, cost: Cost, at_a_time: int) -> float:
    """Return when the last training ends, of those that begin in turn wherever there is room."""
    ends = [0.0] * max(1, at_a_time)
    for seed in range(seeds):
        for finalist in finalists:
            heapq.heapreplace(ends, ends[0] + cost(finalist, seed))
    return max(ends)
