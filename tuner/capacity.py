"""How many trials fit on a cluster at a time, while its machines come and go."""

import time
from collections.abc import Mapping

import ray

from tuner.config import StudyConfig
from tuner.trial.resources import TrialResources, room

PERIOD = 5.0
"""Seconds for which what was seen of the machines is believed."""


class Capacity:
    """Trials that run at a time: as many as the machines that are there have room for.

    On a cluster that others have started --concurrency asks for so many from the start, which lets one that can grow,
    grow.

    Args:
        config: the study's options.
        resources: of each trial, and how many fit at first.
    """

    def __init__(self, config: StudyConfig, resources: TrialResources) -> None:
        self._resources = resources
        self._most = config.concurrency if config.address else resources.concurrency
        self._now, self._seen = resources.concurrency, 0.0

    def _room(self) -> int:
        return room(machines(), self._resources.cpus, self._resources.gpus)

    def __call__(self) -> int:
        """By now; at least one."""
        if self._most is not None:
            return self._most
        if time.monotonic() > self._seen + PERIOD:
            self._now, self._seen = max(1, self._room()), time.monotonic()
        return self._now


def machines() -> list[Mapping[str, float]]:
    """The resources of each machine that is alive."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]
