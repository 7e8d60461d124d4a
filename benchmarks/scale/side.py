"""One side of the comparison, in a process of its own: prints what it took as a JSON object.

python -m benchmarks.scale.side raw|raw-quiet|ours TRIALS SLOTS
"""

import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from ray import tune

from benchmarks.scale.noop import REPORTS, Noop, accuracy


class Memory(threading.Thread):
    """Watches what this process holds (resident), in MB."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most = 0.0
        self.start()

    def run(self) -> None:
        """Until the process ends."""
        while True:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self.most = max(self.most, pages * os.sysconf("SC_PAGE_SIZE") / 2**20)
            time.sleep(0.5)


def started(slots: int) -> None:
    """Ray, with so many slots, whatever the machine has."""
    ray.init(address="local", num_cpus=slots, include_dashboard=False)


def raw(trials: int, slots: int) -> dict[str, Any]:
    """Ray Tune as its documentation shows it; a function reports, workers are used again."""
    started(slots)

    def trial(config: dict[str, Any]) -> None:
        for epoch in range(1, REPORTS + 1):
            tune.report({"val_accuracy": accuracy(config["x"], epoch)})

    tuner = tune.Tuner(
        trial,
        param_space={"x": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(num_samples=trials, reuse_actors=True, metric="val_accuracy", mode="max"),
        run_config=tune.RunConfig(storage_path=tempfile.mkdtemp(), verbose=0),
    )
    began = time.monotonic()
    found = tuner.fit()
    assert len(found) == trials
    assert not found.errors
    return {"seconds": time.monotonic() - began}


def ours(trials: int, slots: int, max_epochs: int = REPORTS) -> dict[str, Any]:
    """The whole product: searcher, records, Optuna's storage, live output; but for the report at the end."""
    import results.report
    import tuner.experiment
    import tuner.search
    from results.records import read_trials
    from tuner.config import StudyConfig
    from tuner.proposal.proposer import Proposer
    from tuner.study import run_study

    took: dict[str, list[float]] = {"trials": [], "proposals": []}
    results.report.write_report = lambda paths: None  # raw Ray Tune writes none
    tuner.experiment.WarmTrial = Noop  # type: ignore[misc, assignment]
    tuner.search._run = timed(tuner.search._run, took["trials"])  # until all is written
    Proposer.propose = timed(Proposer.propose, took["proposals"])  # type: ignore[method-assign]
    started(slots)
    config = StudyConfig(
        space="benchmarks.scale.space:Line", data="digits", image_size=8, trials=trials, max_epochs=max_epochs,
        scheduler="none", finalists=0, precision="float32", storage=tempfile.mkdtemp(), name="scale",
    )  # fmt: skip
    study = run_study(config)
    epochs = [len(trial.epochs) for trial in read_trials(study.paths)]
    assert len(epochs) == trials
    assert min(epochs) >= REPORTS
    last = sorted(took["proposals"][-100:])
    return {"seconds": took["trials"][0], "proposal_ms": 1000 * last[len(last) // 2]}


def timed(function: Callable[..., Any], seconds: list[float]) -> Callable[..., Any]:
    """The function, which leaves how long it took."""

    def call(*args: Any, **options: Any) -> Any:
        began = time.monotonic()
        try:
            return function(*args, **options)
        finally:
            seconds.append(time.monotonic() - began)

    return call


if __name__ == "__main__":
    side, trials, slots = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    if side == "raw-quiet":
        os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    memory = Memory()
    found = (ours if side == "ours" else raw)(trials, slots)
    print(json.dumps(found | {"memory": memory.most}))
