"""The disk is full, or gone: a search ends in words, what it wrote can be read, and it goes on when there is space."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from results.report import write_report
from tests.faults.broken_search import OVER, BrokenSearch, only_long

SPACE = ("--space", "counted:Counted", "--scheduler", "none", "--max-epochs", 4, "--trials", 4)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, that can be filled."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(disk: Path, leave: int) -> Path:
    """Take all space but so many bytes."""
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(max(0, shutil.disk_usage(disk).free - leave)))
    return ballast


@pytest.mark.parametrize(
    "leave",
    [
        pytest.param(0, id="nothing", marks=only_long),
        pytest.param(10_000, id="some records", marks=only_long),
        pytest.param(40_000, id="half a model"),
    ],
)
def test_a_full_disk_ends_a_search_in_words(disk: Path, leave: int) -> None:
    """With nothing left not even a record can be written; with more, records can, but models and checkpoints cannot."""
    search = BrokenSearch(disk, *SPACE, epoch_seconds=1)
    running = search.start("--feature-store-gb", 0)
    search.wait_for_epochs(running, 2)
    ballast = fill(disk, leave)
    printed, _ = running.communicate(timeout=300)
    assert running.returncode == 2, printed
    assert "Traceback" not in printed
    assert "No space left on device. What was written before is whole. Make that place writable" in printed
    assert sum(len(trial.epochs) for trial in search.trials()) >= 2  # all of them can be read
    ballast.unlink()
    write_report(search.paths)
    search.finish()
    assert [trial.state in OVER for trial in search.trials()] == [True] * 4
    assert all([epoch.epoch for epoch in trial.epochs] == [1, 2, 3, 4] for trial in search.trials())
    assert len(list(search.paths.best.glob("*.keras"))) == 3


def test_a_disk_that_is_full_from_the_start_is_refused(disk: Path) -> None:
    search = BrokenSearch(disk, *SPACE, epoch_seconds=0)
    ballast = fill(disk, 0)
    printed = search.finish(status=2)
    assert "No space left on device" in printed
    assert "Traceback" not in printed
    ballast.unlink()
    search.finish()
    assert len(search.trials()) == 4


def test_storage_that_vanishes_ends_a_search_in_words(tmp_path: Path) -> None:
    """As when a network drive is unmounted: nothing is written to where it was."""
    search = BrokenSearch(tmp_path, *SPACE, epoch_seconds=1)
    running = search.start()
    search.wait_for_epochs(running, 2)
    away = tmp_path / "away"
    search.paths.root.rename(away)
    printed, _ = running.communicate(timeout=300)
    assert running.returncode == 2, printed
    assert "Traceback" not in printed
    assert "No such file or directory. What was written before is whole" in printed
    assert not search.paths.root.exists()
    search.paths.root.parent.mkdir(exist_ok=True)
    away.rename(search.paths.root)
    search.finish()
    assert [trial.state in OVER for trial in search.trials()] == [True] * 4


@only_long
def test_a_feature_store_that_is_full_only_costs_time(disk: Path, tmp_path: Path) -> None:
    search = BrokenSearch(tmp_path, *SPACE, "--feature-store", disk / "features", epoch_seconds=1)
    (disk / "features").mkdir()
    fill(disk, 0)
    search.finish()
    assert [trial.state in OVER for trial in search.trials()] == [True] * 4
