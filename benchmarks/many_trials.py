"""Disk and memory of a search of 2,000 trials.

    python benchmarks/many_trials.py [--trials 2000]

A tiny network, two epochs at most, two at a time. After every hundred trials: what driver and workers hold (resident
memory; the workers' largest), and what lies in the run directory. With one graph for all trials a worker's growth is
not that of its graphs (`worker_memory.py`), but of what a trial leaves behind.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated as A
from typing import Any

import keras
import keras_tuner
import typer
from side import write_table

EVERY = 100


class Tiny(keras_tuner.HyperModel):
    """One layer; a hundred thousand configurations."""

    def build(self, hp: Any) -> keras.Model:
        rate = hp.Float("rate", 1e-4, 1e-1, sampling="log")
        hp.Int("x", 0, 10**5)
        pixels = keras.Input((8, 8, 3))
        scaled = keras.layers.Rescaling(1 / 255)(pixels)
        answer = keras.layers.Dense(10, activation="softmax")(keras.layers.Flatten()(scaled))
        model = keras.Model(pixels, answer)
        model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def fit(self, hp: Any, model: keras.Model, *args: Any, **options: Any) -> Any:
        return model.fit(*args, **options, batch_size=256)


def main(trials: A[int, typer.Option(help="How many.")] = 2000) -> None:
    """Search, and watch from outside."""
    root = Path(__file__).parents[1]
    storage = Path(tempfile.mkdtemp())
    run = storage / "many"
    command = [
        sys.executable, "scripts/search.py", "--space", "benchmarks.many_trials:Tiny", "--data", "digits",
        "--image-size", "8", "--trials", str(trials), "--max-epochs", "2", "--concurrency", "2", "--finalists", "0",
        "--no-dashboard", "--storage", str(storage), "--name", run.name,
    ]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": f"{root}:{root / 'benchmarks'}"}
    running = subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.DEVNULL)
    rows = [
        ["trials ended", "driver MB", "largest worker MB", "run directory MB", "models and checkpoints MB", "files"]
    ]
    while running.poll() is None and len(rows) <= trials // EVERY:
        time.sleep(1)
        ended = sum(1 for _ in (run / "trials").glob("trial-*")) - 2 if (run / "trials").is_dir() else 0
        if ended >= EVERY * len(rows):
            rows.append([f"{ended:,}", *map(str, _sizes(running.pid, run))])
            print(" | ".join(rows[-1]), flush=True)
    running.wait()
    write_table("many_trials", f"A search of {trials:,} trials of a tiny model, after every hundred.", rows)


def _sizes(driver: int, run: Path) -> list[int | str]:
    workers = [pid for pid in _family(driver) if _command(pid).startswith("ray::WarmTrial")]
    files = [file.stat() for file in run.rglob("*") if file.is_file()]
    kept = [file.stat().st_size for file in run.rglob("*") if file.suffix in (".keras", ".npz")]
    return [
        _resident(driver), max(map(_resident, workers), default=0),
        f"{sum(file.st_size for file in files) / 2**20:.1f}", f"{sum(kept) / 2**20:.2f}", len(files),
    ]  # fmt: skip


def _family(pid: int) -> list[int]:
    """A process's children, and theirs."""
    found = []
    for child in subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split():
        found += [int(child), *_family(int(child))]
    return found


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def _resident(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") // 2**20


if __name__ == "__main__":
    typer.run(main)
