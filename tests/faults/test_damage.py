"""Damaged files of each kind that we read: a value, or an error of ours."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.broken_search import IS_LONG, ROOT
from tests.faults.damage import KINDS

SLOW = {"models": 50, "weights": 50}
"""How many in the short form, where it is not a thousand."""


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_are_refused_or_read(kind: str, tmp_path: Path) -> None:
    count = 10_000 if IS_LONG else SLOW.get(kind, 1000)
    seed = random.randrange(10**6)
    command = [sys.executable, "-m", "tests.faults.damage", kind, str(count), str(seed), str(tmp_path)]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    case = (tmp_path / "case").read_text() if (tmp_path / "case").is_file() else "none"
    assert done.returncode == 0, f"seed {seed}, case {case}: status {done.returncode}\n{done.stderr[-3000:]}"
    refused = int(done.stdout.rpartition(" damaged files, ")[2].split()[0])
    assert refused > count / 4
