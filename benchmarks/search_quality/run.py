"""Simulate studies and write down what each came to, a JSON object a line.

    python -m benchmarks.search_quality.run "Thaw" "random + ASHA" --data ../shared/data --out results.jsonl

`--data` holds the folders `lcbench` and `nb301`. A line has the method, the task, the seed and when which regret was
reached, to a tenth of a full training, so that every budget up to `--budget` can be read from it.
"""

import argparse
import json
import math
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.search_quality.curves import Curves, Scale
from benchmarks.search_quality.lcbench import LCBench, tasks
from benchmarks.search_quality.nb301 import NB301
from benchmarks.search_quality.simulator import Method, simulate
from benchmarks.search_quality.table import Table
from tuner.proposal.neighbours import at_random

RANDOM = 1000
"""Configurations that a task's scale is taken from."""


@cache
def curves_of(data: Path, task: str) -> Curves:
    """A task by name: `nb301`, a number of OpenML (LCBench), or the path of a table."""
    if task == "nb301":
        return NB301(data / "nb301")
    return Table(Path(task)) if task.endswith(".json") else LCBench(data / "lcbench", task)


@cache
def scale_of(data: Path, task: str) -> Scale:
    """From random configurations, each at the best of its epochs; the same in every process."""
    curves, rng = curves_of(data, task), random.Random(12345)
    finals, seconds = [], []
    for _ in range(RANDOM):
        configuration = at_random(curves.space, rng)
        finals.append(max(curves.at(configuration, epoch)[0] for epoch in range(1, curves.max_epochs + 1)))
        seconds.append(curves.at(configuration, curves.max_epochs)[1])
    return Scale(max(finals), statistics.median(finals), statistics.mean(seconds))


def thinned(improvements: Sequence[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    """The last of each tenth of a full training, as if it had come at its end: so a result takes little room."""
    last = {}
    for clock, regret, accuracy in improvements:
        tenth = math.ceil(10 * clock) / 10
        last[tenth] = (tenth, round(regret, 4), round(accuracy, 3))
    return list(last.values())


def made_by(name: str) -> Mapping[str, Callable[[Curves, int, int, int], Method]]:
    """The methods among which that one is, if there is one: Syne Tune lives in an environment of its own."""
    if name.startswith("Syne Tune"):
        from benchmarks.search_quality.syne_methods import METHODS
    else:
        from benchmarks.search_quality.ray_methods import METHODS, quiet

        quiet()
    return METHODS


def simulated(job: tuple[str, Path, str, int, argparse.Namespace]) -> dict[str, Any]:
    """One study."""
    name, data, task, seed, options = job
    curves, scale = curves_of(data, task), scale_of(data, task)
    began = time.perf_counter()
    method = made_by(name)[name](curves, seed, options.grace or curves.grace_epochs, options.workers)
    history = simulate(method, curves, options.workers, options.budget * scale.seconds)
    found = thinned([(clock / scale.seconds, scale.regret(value), value) for clock, value in history.improvements])
    return {
        "method": name, "task": task, "seed": seed, "workers": options.workers, "budget": options.budget,
        "grace": options.grace, "regret": scale.regret(history.best), "accuracy": history.best,
        "trials": history.trials, "epochs": history.epochs, "seconds": round(time.perf_counter() - began, 2),
        "improvements": found,
    }  # fmt: skip


def main() -> None:
    """Run every method on every task with every seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="+", metavar="METHOD")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--tasks", nargs="+", help="nb301, tasks of LCBench or tables; by default LCBench's and NB301")
    parser.add_argument("--seeds", type=int, nargs="+", default=range(5))
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--budget", type=float, default=25, help="of the clock, in mean full trainings of the task")
    parser.add_argument("--grace", type=int, help="first rung; by default the task's own")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    for method in options.methods:
        if method not in made_by(method):
            parser.error(f"{method!r} is not a method; there are {', '.join(made_by(method))}")
    names = options.tasks or [*tasks(options.data / "lcbench"), "nb301"]
    jobs = [
        (method, options.data, task, seed, options)
        for method in options.methods
        for task in names
        for seed in options.seeds
    ]
    with ProcessPoolExecutor(options.processes) as pool, options.out.open("a") as file:
        for found in pool.map(simulated, jobs):
            file.write(json.dumps(found) + "\n")
            file.flush()
            print(
                f"{found['method']}, {found['task']}, seed {found['seed']}: regret {found['regret']:.3f}, "
                f"{found['trials']} trials, {found['seconds']} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
