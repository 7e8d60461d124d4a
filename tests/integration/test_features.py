"""Features on disk as a user meets them: shared by searches, and no more than a note when they cannot be kept."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from results.paths import RunPaths
from results.records import read_study, read_trials

ROOT = Path(__file__).parents[2]


def begin(folder: Path, name: str, store: Path) -> subprocess.Popen[str]:
    """Start a search of two heads on the frozen bundled backbone."""
    heads = [{"dense_layers": 0, "learning_rate": rate} for rate in (0.01, 0.003)]
    (folder / "heads.json").write_text(json.dumps(heads))
    command = [sys.executable, str(ROOT / "scripts" / "search.py"), "--data", "digits", "--backbones", "cifar_cnn",
               "--trials", "2", "--max-epochs", "2", "--scheduler", "none", "--configs", "heads.json", "--name", name,
               "--precision", "float32", "--feature-store", str(store), "--no-dashboard",
               "--finalists", "0"]  # fmt: skip
    return subprocess.Popen(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def end(search: subprocess.Popen[str]) -> str:
    printed, _ = search.communicate(timeout=400)
    assert search.returncode == 0, printed
    return printed


def accuracies(folder: Path, name: str) -> list[float]:
    trials = read_trials(RunPaths.existing(folder / "runs" / name))
    return [epoch.val_accuracy for trial in trials for epoch in trial.epochs]


def test_two_searches_on_one_store_at_once(tmp_path: Path) -> None:
    store = tmp_path / "store"
    searches = [begin(tmp_path, name, store) for name in ("one", "two")]
    for search in searches:
        printed = end(search)
        assert "Note" not in printed
        assert "Frozen layers: 2 of 2 trials trained on stored features, " in printed
    assert accuracies(tmp_path, "one") == pytest.approx(accuracies(tmp_path, "two"), abs=0.02)
    arrays = [path for path in store.iterdir() if path.is_dir()]
    assert arrays
    assert not [path for path in arrays if path.suffix == ".part"]
    one = RunPaths.existing(tmp_path / "runs" / "one")
    assert all(trial.features is not None and trial.features > 0 for trial in read_trials(one))
    assert read_study(one).precision == "float32"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder in which nobody can write: /proc")
def test_a_store_that_cannot_be_written_costs_one_note_and_no_trial(tmp_path: Path) -> None:
    store = Path("/proc/self/thaw") if os.geteuid() == 0 else tmp_path / "locked" / "store"
    store.parent.mkdir(mode=0o555, exist_ok=True)
    printed = end(begin(tmp_path, "one", store))
    assert printed.count("Note: features are not stored") == 1
    assert f"--feature-store {store}: " in printed
    assert "Frozen layers" not in printed
    assert len(accuracies(tmp_path, "one")) == 4
