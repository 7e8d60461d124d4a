"""python scripts/report.py RUN, as it is typed."""

import subprocess
import sys
from pathlib import Path

from results.records import DataRecord, StudyRecord, write

ROOT = Path(__file__).parents[2]


def run(argument: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "scripts" / "report.py", argument]
    return subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)})


def test_it_prints_the_files_that_it_wrote(tmp_path: Path) -> None:
    data = DataRecord("pets", 96, ("cat", "dog"), 1400, 300, 300, "0123456789abcdef")
    study = StudyRecord("run", "2026-01-02T03:04:05+00:00", "python scripts/search.py", {}, data, {}, {}, "float32")
    write(tmp_path / "study.json", study)
    done = run(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    written = [Path(line) for line in done.stdout.splitlines()]
    assert [file.name for file in written] == ["report.html", "report.md", "leaderboard.csv"]
    assert all(file.is_file() for file in written)


def test_a_folder_that_is_no_run_is_said_to_be_none(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"Error: {tmp_path} is not a run directory")
