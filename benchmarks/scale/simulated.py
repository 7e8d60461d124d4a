"""Trials that report once a second, many in one process, in place of Ray Tune's one actor a trial.

Hundreds of real workers would keep a small machine busy by being there (each is a process of 120 MB whose threads wake
by themselves). To the driver it is all the same: a placement group, an actor to be ready, and a result a second that
comes from another process, for each trial.
"""

import asyncio
import datetime
import itertools
import os
import platform
import time
from pathlib import Path
from typing import Any

import ray
from ray.actor import ActorClass
from ray.air.execution._internal.actor_manager import RayActorManager

PAUSE = 1.0
"""Seconds of an epoch."""
PROCESSES = 4


class Simulated:
    """One trial. Once the file `go` is there, it trains `epochs` more."""

    def __init__(self, x: float, go: str, epochs: int) -> None:
        self._x, self._go, self._left = x, go, epochs
        self._epoch, self._total, self._ended = 0, 0.0, 0.0

    async def train(self) -> dict[str, Any]:
        """One epoch, with what Ray's `Trainable` fills in; `idle` is how long there was nothing to do before it."""
        began = time.time()
        idle = began - self._ended if self._ended else 0.0
        await asyncio.sleep(PAUSE)
        self._epoch += 1
        self._left -= os.path.exists(self._go)
        self._total += time.time() - began
        value = (1 - (self._x - 0.3) ** 2) * (1 - 0.5**self._epoch)
        self._ended = time.time()
        return {
            "epoch": self._epoch, "loss": 1.0, "accuracy": value, "val_loss": 1.0, "val_accuracy": value,
            "seconds": self._ended - began, "parameters": 1, "file_bytes": 1, "latency": 0.1,
            "sent": self._ended, "idle": idle, "done": self._left == 0, "training_iteration": self._epoch,
            "date": datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S"), "timestamp": int(began),
            "time_this_iter_s": self._ended - began, "time_total_s": self._total, **about(), "config": {},
            "time_since_restore": self._total, "iterations_since_restore": self._epoch,
        }  # fmt: skip


def about() -> dict[str, Any]:
    """What Ray Tune wants to know first."""
    return {"pid": os.getpid(), "hostname": platform.node(), "node_ip": "127.0.0.1"}


@ray.remote(num_cpus=0, max_concurrency=1000)
class Process:
    """Has many trials."""

    def __init__(self) -> None:
        self._trials: dict[int, Simulated] = {}

    async def call(self, number: int, method: str, kwargs: dict[str, Any]) -> Any:
        """What Ray Tune calls a method of a trial's actor."""
        if method == "train":
            return await self._trials[number].train()
        if method == "__ray_ready__":
            self._trials[number] = Simulated(**kwargs)
        return about() if method == "get_auto_filled_metrics" else None


class Method:
    """Of a trial, as one of an actor's handle is."""

    def __init__(self, process: Any, number: int, name: str, kwargs: dict[str, Any]) -> None:
        self._call = lambda: process.call.remote(number, name, kwargs)

    def remote(self, *args: Any, **kwargs: Any) -> Any:
        """Call it."""
        return self._call()


class Handle:
    """Of a trial, as an actor's is."""

    def __init__(self, process: Any, number: int, kwargs: dict[str, Any]) -> None:
        self._of = process, number, kwargs

    def __getattr__(self, name: str) -> Method:
        process, number, kwargs = self._of
        return Method(process, number, name, kwargs)


class Simulation:
    """Makes trials, as an actor class makes actors."""

    __class__ = ActorClass  # type: ignore[assignment]  # what is none, Ray Tune makes one of

    def __init__(self, go: Path, epochs: int) -> None:
        self._go, self._epochs = str(go), epochs
        self._processes = [Process.remote() for _ in range(PROCESSES)]  # type: ignore[attr-defined]
        self._numbers = itertools.count()

    def options(self, **given: Any) -> "Simulation":
        """They take no room."""
        return self

    def remote(self, config: dict[str, Any], **more: Any) -> Handle:
        """A trial."""
        number, x = next(self._numbers), config.get("configuration", config)["x"]
        kwargs = {"x": x, "go": self._go, "epochs": self._epochs}
        return Handle(self._processes[number % PROCESSES], number, kwargs)


def simulate(go: Path, epochs: int) -> None:
    """From now on Ray Tune's trials are simulated ones."""
    add, made = RayActorManager.add_actor, list[Simulation]()

    def add_simulated(manager: RayActorManager, cls: Any, **more: Any) -> Any:
        made or made.append(Simulation(go, epochs))
        return add(manager, made[0], **more)  # type: ignore[arg-type]

    RayActorManager.add_actor = add_simulated  # type: ignore[method-assign, assignment]
