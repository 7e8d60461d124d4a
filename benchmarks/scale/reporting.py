"""One side of the comparison, in a process of its own: prints how late reports were as a JSON object.

python -m benchmarks.scale.reporting raw|ours TRIALS EPOCHS
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.execution.tune_controller import TuneController

from benchmarks.scale.side import Memory, ours, started
from benchmarks.scale.simulated import PAUSE, simulate


class Stated(tune.Trainable):
    """What Ray Tune is told to run; a simulated trial does so."""


def watch(trials: int, go: Path) -> list[tuple[float, float, float]]:
    """Of each report, once the driver is done with it: when it was sent, how late it is, and the trial's idle time."""
    seen: list[tuple[float, float, float]] = []
    running: set[str] = set()
    take: Callable[..., Any] = TuneController._on_training_result

    def taken(controller: TuneController, trial: Any, result: dict[str, Any]) -> None:
        take(controller, trial, result)
        seen.append((result["sent"], time.time() - result["sent"], result["idle"]))
        running.add(trial.trial_id)
        if len(running) == trials and not go.exists():
            go.touch()

    TuneController._on_training_result = taken  # type: ignore[method-assign, assignment]
    return seen


def raw(trials: int) -> None:
    """Ray Tune, with its own files for each trial."""
    started(trials)
    tuner = tune.Tuner(
        tune.with_resources(Stated, {"cpu": 1}),
        param_space={"x": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(num_samples=trials, metric="val_accuracy", mode="max"),
        run_config=tune.RunConfig(
            storage_path=tempfile.mkdtemp(),
            verbose=0,
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # there is nothing to save
        ),
    )
    assert not tuner.fit().errors


if __name__ == "__main__":
    side, trials, epochs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    os.environ.update(RAY_prestart_worker_first_driver="0")  # a process a slot
    go = Path(tempfile.mkdtemp()) / "go"
    simulate(go, epochs)
    seen, memory = watch(trials, go), Memory()
    raw(trials) if side == "raw" else ours(trials, trials, max_epochs=100_000)
    began = go.stat().st_mtime
    counted = [one for one in seen if began <= one[0] < began + PAUSE * (epochs - 1)]
    found = {"late": [late for _, late, _ in counted], "idle": [idle for *_, idle in counted]}
    print(json.dumps(found | {"memory": memory.most}))
