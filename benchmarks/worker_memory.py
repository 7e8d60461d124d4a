"""Memory of a worker, trial after trial.

    python benchmarks/worker_memory.py

One slot, 200 trials of the whole `custom_cnn` space on scikit-learn's digits, two epochs each: almost every one has a
graph of its own. What the process holds (resident memory) is read after each trial.
"""

import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from search_spaces.custom_cnn import CustomCNN

TRIALS, EPOCHS, AROUND = 200, 2, 5
TITLE = (
    f"Resident memory of one worker over {TRIALS} trials of the whole `custom_cnn` space on scikit-learn's digits; "
    f"medians of the {AROUND} trials up to that one."
)


class Weighed(CustomCNN):
    """Writes down what its process holds after each trial."""

    def fit(self, hp: Any, model: Any, x: Any, y: Any, **options: Any) -> Any:
        try:
            return super().fit(hp, model, x, y, **options)
        finally:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            with open(os.environ["WORKER_MEMORY_FILE"], "a") as file:
                file.write(json.dumps([os.getpid(), pages * os.sysconf("SC_PAGE_SIZE") / 2**20]) + "\n")


def search() -> None:
    """One study; prints the memory after each trial, in MB."""
    from tuner.config import StudyConfig
    from tuner.study import run_study

    storage = Path(tempfile.mkdtemp())
    os.environ["WORKER_MEMORY_FILE"] = str(storage / "megabytes")
    run_study(StudyConfig(
        space="benchmarks.worker_memory:Weighed", data="digits", trials=TRIALS, max_epochs=EPOCHS, concurrency=1,
        storage=storage, name="memory", dashboard=False, finalists=0,
    ))  # fmt: skip
    lines = [json.loads(line) for line in (storage / "megabytes").read_text().splitlines()]
    workers = {worker for worker, _ in lines}
    assert len(workers) == 1, workers
    print(json.dumps({"megabytes": [megabytes for _, megabytes in lines]}))


def main() -> None:
    """Run a study and write the table."""
    if sys.argv[1:] == ["search"]:
        search()
        return
    from side import measured, write_table

    found = measured([sys.executable, __file__, "search"])["megabytes"]
    at = {trial: statistics.median(found[max(0, trial - AROUND) : trial]) for trial in (20, 50, 100, 150, TRIALS)}
    rows = [["after trial", "MB", "over that after 20"]]
    rows += [[str(trial), f"{value:.0f}", f"{value / at[20] - 1:+.1%}"] for trial, value in at.items()]
    write_table("worker_memory", TITLE, rows)


if __name__ == "__main__":
    main()
