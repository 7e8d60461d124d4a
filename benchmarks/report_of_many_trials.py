"""What the report of a long study costs: seconds, memory and the size of the page.

python benchmarks/report_of_many_trials.py
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from side import ROOT, write_table

from results.paths import RunPaths
from results.records import DataRecord, EpochRecord, StudyRecord, TrialRecord, TrialState, write
from search_spaces.backbones import BACKBONES

EPOCHS = 20
RUNGS = (1, 3, 9)


def write_study(paths: RunPaths, trials: int) -> None:
    """Records of a study with the hyperparameters of a real one, their values drawn."""
    rng = np.random.default_rng(0)
    names = ("backbone", "unfrozen_layers", "learning_rate", "batch_size", "optimizer", "momentum", "dropout",
             "weight_decay", "label_smoothing", "augmentation", "mix", "dense_layers", "dense_units", "schedule",
             "clip_norm", "feature_dropout", "head", "image_size", "warmup_epochs", "gradual_thaw")  # fmt: skip
    for number in range(trials):
        paths.trial(number).mkdir(parents=True)
        write(paths.trial_record(number), _trial(number, rng))
    data = DataRecord("photos", 96, tuple(f"class {number}" for number in range(10)), 40000, 5000, 5000, "0" * 16)
    write(
        paths.study,
        StudyRecord(paths.name, "2026-01-02T03:04:05+00:00", "python scripts/search.py", {"trials": trials}, data,
                    {"python": "3.11"}, {"trial": {"cpus": 1.0, "gpus": 0.25}}, "float32", names,
                    rungs=RUNGS),
    )  # fmt: skip


def _trial(number: int, rng: np.random.Generator) -> TrialRecord:
    backbone = str(rng.choice(list(BACKBONES)))
    optimizer = str(rng.choice(["adam", "adamw", "sgd"]))
    configuration = {
        "backbone": backbone, "unfrozen_layers": int(rng.integers(0, BACKBONES[backbone].layers)),
        "learning_rate": float(10 ** rng.uniform(-5, -2)), "batch_size": int(rng.choice([16, 32, 64, 128])),
        "optimizer": optimizer, "dropout": float(rng.uniform(0, 0.6)), "weight_decay": float(10 ** rng.uniform(-6, -2)),
        "label_smoothing": float(rng.uniform(0, 0.2)), "augmentation": str(rng.choice(["none", "light", "standard"])),
        "mix": str(rng.choice(["none", "mixup"])), "dense_layers": int(rng.integers(0, 3)),
        "dense_units": int(rng.choice([64, 128, 256])), "schedule": str(rng.choice(["constant", "cosine"])),
        "clip_norm": float(rng.uniform(0, 2)), "feature_dropout": float(rng.uniform(0, 0.5)), "head": "dense",
        "image_size": int(rng.choice([96, 128, 160])), "warmup_epochs": int(rng.integers(0, 3)),
        "gradual_thaw": bool(rng.integers(0, 2)),
    }  # fmt: skip
    if optimizer == "sgd":
        configuration["momentum"] = float(rng.uniform(0, 0.99))
    length = int(rng.choice([*RUNGS, EPOCHS], p=[0.6, 0.25, 0.1, 0.05]))
    end, began = rng.uniform(0.5, 0.95), 15.0 * (number // 8)
    epochs = tuple(
        EpochRecord(epoch, 1 / epoch, 0.9, 1 / epoch, float(end * (1 - 0.5 / epoch) + rng.normal(0, 0.005)), 10.0,
                    began + 10 * epoch)
        for epoch in range(1, length + 1)
    )  # fmt: skip
    return TrialRecord(
        number, TrialState.DONE if length == EPOCHS else TrialState.STOPPED, configuration, began, 10.0 * length,
        epochs, int(rng.integers(10**6, 10**8)), 10**7, float(rng.uniform(1, 50)), worker=f"machine {number % 8}",
    )  # fmt: skip


def main() -> None:
    """Write the study, then its report in a process of its own, and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    options = parser.parse_args()
    paths = RunPaths(Path(tempfile.mkdtemp()) / "long")
    write_study(paths, options.trials)
    began = time.monotonic()
    subprocess.run([sys.executable, "scripts/report.py", str(paths.root)], check=True, cwd=ROOT, capture_output=True)
    seconds = time.monotonic() - began
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    rows = [["trials", "seconds", "memory", "page"],
            [str(options.trials), f"{seconds:.1f}", f"{memory / 1e6:.0f} MB",
             f"{paths.report.stat().st_size / 1e6:.1f} MB"]]  # fmt: skip
    write_table("report_of_many_trials", "`scripts/report.py` on a run with many trials.", rows)


if __name__ == "__main__":
    main()
