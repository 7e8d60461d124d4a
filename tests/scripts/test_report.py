"""python scripts/report.py RUN, as it is typed."""

import subprocess
import sys
from pathlib import Path

from results.records import DataRecord, StudyRecord, TrialState, write
from tests.results.written_run import a_trial, write_run
from tuner.run_folder import writing

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


def test_a_report_that_a_killed_search_could_not_write_is_written_and_that_is_said(tmp_path: Path) -> None:
    paths = write_run(tmp_path / "run", [a_trial(0, [0.5], TrialState.RUNNING)])
    first, *files = run(paths.root).stdout.splitlines()
    assert first == "The last session was ended before it could write its report; it is written now:"
    assert run(paths.root).stdout.splitlines() == files
    paths.report.unlink()
    with writing(paths):  # a search that runs has none yet
        assert run(paths.root).stdout.splitlines() == files


def test_a_folder_that_is_no_run_is_said_to_be_none(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"Error: {tmp_path} is not a run directory")
