"""A side of a comparison: a command in a process of its own; and the table where a benchmark leaves its figures."""

import importlib.metadata
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tuner.trial.precision import processor

ROOT = Path(__file__).parents[1]
TABLES = ROOT / "benchmarks" / "tables"
JPEG = "Images of CIFAR-10, compressed as JPEG (quality 75)."
PACKAGES = ("tensorflow", "keras", "ray", "optuna", "keras-tuner")


def measured(command: Sequence[str]) -> dict[str, Any]:
    """The last line that the command prints, a JSON object, with its wall time and when it began (`time.time()`)."""
    began, clock = time.time(), time.monotonic()
    settings = os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, env=settings, cwd=tempfile.mkdtemp())
    wall = time.monotonic() - clock
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return {"wall": wall, "began": began, **json.loads(done.stdout.splitlines()[-1])}


def several(values: Sequence[float], digits: int = 0) -> str:
    """The median, and all of them behind it."""
    each = ", ".join(f"{value:.{digits}f}" for value in values)
    return f"{statistics.median(values):.{digits}f} ({each})" if len(values) > 1 else each


def write_table(name: str, title: str, rows: Sequence[Sequence[str]]) -> None:
    """Print the table, its first row the heads, and write it to `tables/` with all that it takes to repeat it."""
    versions = ", ".join(f"{package} {importlib.metadata.version(package)}" for package in PACKAGES)
    module = sys.modules["__main__"].__spec__
    program = ["-m", module.name] if module else [f"benchmarks/{Path(sys.argv[0]).name}"]
    command = shlex.join(["python", *program, *sys.argv[1:]])
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines.insert(1, "|---" * len(rows[0]) + "|")
    head = [title, "", f"`{command}`", ""]
    text = "\n".join(
        [*head, f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} x {processor()}; {versions}", "", *lines, ""]
    )
    TABLES.mkdir(exist_ok=True)
    (TABLES / f"{name}.md").write_text(text, encoding="utf-8")
    print(text)
