"""Overhead of a study over raw Ray Tune: 16 trials that import TensorFlow and report 4 times each.

    python benchmarks/warm_workers.py

Both sides do no training: ours is a user's space whose `fit` returns at once, run by the whole product (searcher,
records, best models, live output), theirs a function trainable with `reuse_actors=True`. They run in turn, each in a
process of its own; the figures are medians of whole processes, imports and Ray's start included.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TRIALS, REPORTS, ROUNDS = 16, 4, 3
ROOT = Path(__file__).parents[1]


def raw() -> None:
    """Plain Ray Tune, as its documentation shows it."""
    from ray import tune

    def trial(config: dict[str, Any]) -> None:
        import tensorflow as tf

        for _ in range(REPORTS):
            tune.report({"val_accuracy": float(tf.constant(config["x"]))})

    tuner = tune.Tuner(
        trial,
        param_space={"x": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(num_samples=TRIALS, reuse_actors=True, metric="val_accuracy", mode="max"),
        run_config=tune.RunConfig(storage_path=tempfile.mkdtemp(), verbose=0),
    )
    assert len(tuner.fit()) == TRIALS


def ours(report: bool) -> None:
    """The same through a study; without the report page, which raw Ray Tune does not make, unless it is asked for."""
    import results.report
    from tuner.config import StudyConfig
    from tuner.study import run_study

    if not report:
        results.report.write_report = lambda paths: None
    config = StudyConfig(space="benchmarks.warm_workers:Idle", data="digits", trials=TRIALS, max_epochs=REPORTS,
                         finalists=0, scheduler="none", storage=Path(tempfile.mkdtemp()), name="bench")  # fmt: skip
    assert [len(trial.epochs) for trial in run_study(config).trials()] == [REPORTS] * TRIALS


def __getattr__(name: str) -> Any:
    """`Idle`, made when it is asked for, so that the raw side does not pay for importing KerasTuner."""
    if name != "Idle":
        raise AttributeError(name)
    import keras
    import keras_tuner

    class Idle(keras_tuner.HyperModel):
        """One number to choose, and nothing to train."""

        def declare(self, hp: keras_tuner.HyperParameters) -> None:
            hp.Float("x", 0.0, 1.0)

        def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
            self.declare(hp)
            model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
            model.compile(loss="sparse_categorical_crossentropy")
            return model

        def fit(
            self, hp: keras_tuner.HyperParameters, model: Any, *args: Any, epochs: int, callbacks: Any, **kwargs: Any
        ) -> None:
            for epoch in range(epochs):
                for callback in callbacks:
                    callback.on_epoch_end(
                        epoch, dict.fromkeys(("loss", "accuracy", "val_loss", "val_accuracy"), hp.get("x"))
                    )

    return Idle


def main() -> None:
    """Run the sides in turn and print their medians and ratios."""
    sides = ("raw", "ours", "ours-with-report")
    times: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(ROUNDS):
        for side in sides:
            began = time.monotonic()
            subprocess.run(
                [sys.executable, __file__, side], check=True, capture_output=True, cwd=Path(__file__).parents[1]
            )
            times[side].append(time.monotonic() - began)
    base = statistics.median(times["raw"])
    for side in sides:
        print(f"{side:18} {statistics.median(times[side]):6.1f} s  {statistics.median(times[side]) / base:5.2f} x raw  "
              f"({', '.join(f'{seconds:.1f}' for seconds in times[side])})")  # fmt: skip


if __name__ == "__main__":
    side = sys.argv[1] if len(sys.argv) > 1 else ""
    {"raw": raw, "ours": lambda: ours(False), "ours-with-report": lambda: ours(True)}.get(side, main)()
