"""Share of the slots' time that is spent in training and evaluation steps.

    python benchmarks/slot_share.py

8 trials of a CNN of three blocks from 32 filters, 12 epochs of 5,000 images each, two slots. A slot's time runs from
the study's first trial to the end of the slot's last one: the worker's start, the import of TensorFlow, building,
tracing, saving and waiting for the next trial are what is lost. Steps are timed by a callback; the first one of a
trial, in which TensorFlow traces, counts as long as the median of the others.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import keras

from search_spaces.custom_cnn import CustomCNN

TRIALS, EPOCHS, TRAINING, VALIDATION = 8, 12, 5000, 1000
FIX = {"blocks": 3, "filters": 32, "batch_size": 64, "optimizer": "adam", "convs_per_block": 2, "width_growth": 2.0,
       "kernel_size": 3, "residual": False, "squeeze_excite": False, "batch_norm": "convolution", "mix": "none",
       "layer_order": "conv-norm-relu", "augmentation": "none", "early_stopping": 0, "second_stage": False}  # fmt: skip
TITLE = (
    f"Share of slot time in training and evaluation steps: {TRIALS} trials of {EPOCHS} epochs, {TRAINING:,} training "
    f"and {VALIDATION:,} validation images, a CNN of three blocks, two slots; its other hyperparameters are searched."
)


class Timed(CustomCNN):
    """Writes down how long the steps of a fit took, and when it was built."""

    def build(self, hp: Any) -> keras.Model:
        self.began = time.time()
        return super().build(hp)

    def fit(self, hp: Any, model: Any, x: Any, y: Any, **options: Any) -> Any:
        steps = Steps()
        options["callbacks"] = [*options["callbacks"], steps]
        try:
            return super().fit(hp, model, x, y, **options)
        finally:
            seconds = sum(map(sum, steps.found.values()))
            seconds += sum(statistics.median(found) - found[0] for found in steps.found.values())
            line = {"slot": os.getpid(), "steps": seconds, "built": self.began, "ended": steps.last}
            with open(os.environ["SLOT_SHARE_FILE"], "a") as file:
                file.write(json.dumps(line) + "\n")


class Steps(keras.callbacks.Callback):
    """Seconds of each training and evaluation step."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, list[float]] = {"train": [], "test": []}
        self._began = self.last = 0.0

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._end("train")

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._began = time.perf_counter()

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self._end("test")

    def _end(self, kind: str) -> None:
        self.found[kind].append(time.perf_counter() - self._began)
        self.last = time.time()


def search(images: str) -> None:
    """One study; prints the share."""
    from results.records import read_trials
    from tuner.config import StudyConfig
    from tuner.study import run_study

    storage = Path(tempfile.mkdtemp())
    os.environ["SLOT_SHARE_FILE"] = str(storage / "steps")
    config = StudyConfig(
        space="benchmarks.slot_share:Timed", data=images, fix=FIX, trials=TRIALS, max_epochs=EPOCHS, scheduler="none",
        storage=storage, name="share", dashboard=False, finalists=0,
    )  # fmt: skip
    paths = run_study(config).paths
    trials = read_trials(paths)
    began = paths.study.stat().st_mtime + min(trial.started for trial in trials)
    lines = [json.loads(line) for line in (storage / "steps").read_text().splitlines()]
    lines.sort(key=lambda line: line["ended"])
    ends = {line["slot"]: line["ended"] for line in lines}
    slots = [[line for line in lines if line["slot"] == slot] for slot in ends]
    between = [after["built"] - before["ended"] for slot in slots for before, after in pairwise(slot)]
    epochs = [epoch.seconds for trial in trials for epoch in trial.epochs[1:]]
    share = sum(line["steps"] for line in lines) / sum(end - began for end in ends.values())
    print(json.dumps({"share": share, "epoch": statistics.median(epochs), "between": statistics.median(between)}))


def main() -> None:
    """Run studies and write the table."""
    if sys.argv[1:2] == ["search"]:
        search(sys.argv[2])
        return
    from sample import draw
    from side import JPEG, measured, several, write_table

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    images, _ = draw(Path(tempfile.mkdtemp()), TRAINING, VALIDATION)
    runs = [measured([sys.executable, __file__, "search", str(images)]) for _ in range(parser.parse_args().rounds)]
    write_table("slot_share", f"{TITLE} {JPEG}", [
        ["share of slot time in steps, %", "from a trial's last step to the next one's building, s",
         "median epoch, s", "whole run, s"],
        [several([100 * run["share"] for run in runs], 1), several([run["between"] for run in runs], 2),
         several([run["epoch"] for run in runs], 1),
         several([run["wall"] for run in runs])],
    ])  # fmt: skip


if __name__ == "__main__":
    main()
