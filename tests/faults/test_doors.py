"""Nobody else gets in: what listens during a search, and what files from elsewhere can do."""

import os
import pickle
import socket
import struct
import subprocess
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from results.best_models import BestModels
from results.paths import RunPaths
from results.records import read_study, read_test, write
from search_spaces.errors import Unavailable, UserError
from tests.faults.broken_search import BrokenSearch, descendants, kill
from tests.results.written_run import a_trial, decide, write_run
from tuner.config import StudyConfig
from tuner.study import repeat_trial
from tuner.trial.datasets import load


def listening(pid: int) -> set[str]:
    """Addresses on which a process and its family accept connections."""
    inodes = set()
    for one in [pid, *descendants(pid)]:
        for file in Path(f"/proc/{one}/fd").glob("*"):
            try:
                inodes.add(os.readlink(file))
            except OSError:
                continue
    found = set()
    for table, words in (("tcp", 1), ("tcp6", 4)):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                address = fields[1].partition(":")[0]
                raw = b"".join(struct.pack("<I", int(address[8 * n : 8 * n + 8], 16)) for n in range(words))
                found.add(socket.inet_ntop(socket.AF_INET if words == 1 else socket.AF_INET6, raw))
    return found


def test_a_search_listens_on_this_machine_alone_and_asks_for_a_token(tmp_path: Path) -> None:
    search = BrokenSearch(tmp_path, "--space", "counted:Counted", "--trials", 2, "--max-epochs", 9, epoch_seconds=1)
    running = search.start("--dashboard", "--monitor")
    search.wait_for_epochs(running, 1)
    assert listening(running.pid) <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
    assert listening(running.pid)
    assert running.stdout is not None
    address = next(line for line in running.stdout if "dashboard: http" in line).split()[2]
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{address}/api/version", timeout=20)
    kill(running)


def test_a_cifar_batch_that_carries_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Code:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {tmp_path / 'was here'}",)

    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path))
    folder = tmp_path / "datasets" / "cifar-10-batches-py-target" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for name in [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]:
        (folder / name).write_bytes(pickle.dumps({b"data": Code(), b"labels": []}))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(Unavailable, match="CIFAR-10 is neither in"):
        load("cifar10", None, seed=0)
    assert not (tmp_path / "was here").exists()


@pytest.mark.parametrize("name", ["../two", "/etc", "a/b", ".hidden", "", "a\0b", "a b"])
def test_a_runs_name_cannot_leave_its_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="must be letters, digits"):
        RunPaths.of(tmp_path, name)


def test_what_is_told_of_a_model_cannot_be_of_another_file(tmp_path: Path) -> None:
    (tmp_path / "trial-0003-epoch-01.json").write_text('{"trial": 4, "epoch": 1, "val_accuracy": 0.5, "result": {}}')
    with pytest.raises(UserError, match=r"trial-0003-epoch-01\.json .* is of trial-0004-epoch-01\.keras: do not trust"):
        BestModels(tmp_path).ranked()


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd"])
def test_a_test_record_cannot_name_files_of_others(tmp_path: Path, name: str) -> None:
    trials = [a_trial(0, [0.5])]
    paths = write_run(tmp_path / "one", trials)
    decide(paths, trials)
    assert read_test(paths) is not None
    text = paths.test.read_text()
    paths.test.write_text(text.replace("finalists/best/trial-0000.keras", name))
    with pytest.raises(UserError, match=r"test\.json names .*which is not of that run: do not trust it"):
        read_test(paths)


def test_what_is_written_lies_in_the_run_and_in_rays_folder(tmp_path: Path) -> None:
    """Nothing beside the run directory, and no pickle in it."""
    search = BrokenSearch(tmp_path, "--space", "counted:Counted", "--trials", 2, "--max-epochs", 2, "--feature-store",
                          tmp_path / "features", epoch_seconds=0)  # fmt: skip
    search.finish()
    assert {file.name for file in tmp_path.iterdir()} <= {"runs", "counted.py", "epochs.log", "features", "__pycache__"}
    files = [file for file in search.paths.root.rglob("*") if file.is_file()]
    assert not [file for file in files if file.suffix in (".pkl", ".pickle")]
    assert not [file for file in files if file.read_bytes().startswith(b"\x80\x04\x95")]
    assert {file.name for file in search.paths.root.iterdir()} == {
        ".lock", "best", "leaderboard.csv", "report.html", "report.md", "search.log", "study.journal", "study.json",
        "trials",
    }  # fmt: skip
    subprocess.run(["grep", "-q", "epoch", search.paths.trial_record(0)], check=True)


def test_a_log_that_leads_elsewhere_is_not_written_to(tmp_path: Path) -> None:
    paths = write_run(tmp_path / "runs" / "one", [a_trial(0, [0.5])])
    options = StudyConfig(space="custom_cnn", data="digits").options()
    write(paths.study, replace(read_study(paths), options=options))
    precious = tmp_path / "precious"
    precious.write_text("mine")
    paths.log.symlink_to(precious)
    with pytest.raises(UserError, match=r"search\.log is a link, and not the log of a search"):
        repeat_trial("one:0", {"storage": tmp_path / "runs"})
    assert precious.read_text() == "mine"
