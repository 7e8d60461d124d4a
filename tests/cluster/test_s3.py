"""Runs that are kept in an object store: a real S3 server, which may be out of reach."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest

from results.best_models import BestModels
from results.paths import RunPaths
from results.records import TO_GO_ON, TrialRecord, TrialState, read_trials, write
from results.remote import Mirror, existing_run
from results.run_files import ObjectFiles
from results.whole_file import Unwritable
from search_spaces.errors import UserError
from tests.cluster.s3_server import KEYS, Door, s3_server, uri
from tests.faults.broken_search import OVER, ROOT, BrokenSearch, kill
from tuner.run_folder import new_run


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """The server, and keys to it for all that run in this module."""
    before = {name: os.environ.get(name) for name in KEYS}
    os.environ.update(KEYS)
    with s3_server(tmp_path_factory.mktemp("s3") / "log") as door:
        yield door
    for name, value in before.items():
        os.environ.pop(name)
        if value is not None:
            os.environ[name] = value


@pytest.fixture
def go_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Path]:
    """Be on another machine from then on: what this one has copied is not there."""

    def go() -> Path:
        monkeypatch.setattr("results.paths.CACHE", tmp_path / "elsewhere" / "thaw")
        return tmp_path / "elsewhere"

    return go


def test_nothing_is_lost_while_the_server_is_down_for_half_a_minute(
    door: Door, tmp_path: Path, go_elsewhere: Callable[[], Path]
) -> None:
    options = ("--space", "counted:Counted", "--trials", 6, "--max-epochs", 4, "--concurrency", 2)
    search = BrokenSearch(tmp_path, *options, epoch_seconds=1.0, storage=uri(door, "/runs"))
    running = search.start()
    search.wait_for_epochs(running, 3)
    door.shut()
    time.sleep(30)
    door.open()
    printed, _ = running.communicate(timeout=300)
    assert running.returncode == 0, printed
    assert printed.count("Note: --storage is out of reach; the search goes on and sends again") == 1, printed
    trials = search.trials()
    assert len(trials) == 6
    assert all(trial.state in OVER for trial in trials)
    begun = [epoch for epochs in search.epochs().values() for epoch in epochs]
    assert len(begun) == sum(len(trial.epochs) for trial in trials), "an epoch was trained twice"
    elsewhere = go_elsewhere()
    there = existing_run(uri(door, "/runs/one"))
    assert there.root.is_relative_to(elsewhere)
    assert read_trials(there) == trials
    assert len(BestModels(there.best).ranked()) == 3
    assert there.report.is_file()
    assert there.log.is_file()
    left = [file.name for file in ObjectFiles(uri(door, "/runs/one")).all()]
    assert not [name for name in left if name.endswith((".npz", "held.json"))]
    export = [sys.executable, str(ROOT / "scripts" / "export.py"), uri(door, "/runs/one"), "--out", "model.keras"]
    subprocess.run(export, cwd=tmp_path, check=True, env=os.environ | {"XDG_CACHE_HOME": str(elsewhere)})
    assert (tmp_path / "model.keras").is_file()


def test_another_machine_goes_on_where_one_died(door: Door, tmp_path: Path, go_elsewhere: Callable[[], Path]) -> None:
    options = (
        "--space",
        "counted:Counted",
        "--trials",
        4,
        "--max-epochs",
        4,
        "--concurrency",
        2,
        "--scheduler",
        "none",
    )
    search = BrokenSearch(tmp_path, *options, epoch_seconds=1.0, storage=uri(door, "/died"))
    running = search.start()
    search.wait_for_epochs(running, 5)
    time.sleep(4)  # more than the driver's last seconds
    kill(running)
    elsewhere = go_elsewhere()
    known = existing_run(uri(door, "/died/one"))
    assert any(trial.state in TO_GO_ON for trial in read_trials(known))
    printed = search.finish(environment={"XDG_CACHE_HOME": str(elsewhere)})
    assert "Resumed after" in printed
    trials = read_trials(existing_run(uri(door, "/died/one")))
    assert [len(trial.epochs) for trial in trials] == [4] * 4
    again = sum(map(len, search.epochs().values())) - 16
    assert again <= 4, "of each trial at most the epoch that it was in, and the one that was not written down yet"


def test_a_copy_has_the_models_that_the_store_has_and_no_others(
    door: Door, tmp_path: Path, go_elsewhere: Callable[[], Path]
) -> None:
    go_elsewhere()
    files = ObjectFiles(uri(door, "/models/one"))
    (tmp_path / "file").write_text("{}")
    model = BestModels(files.inside("finalists").inside("best"), 1)
    for name in ("study.json", "trials/trial-0000/trial.json", "trials/trial-0000/checkpoint.npz"):
        files.put(tmp_path / "file", name)
    for epoch in (1, 2):
        model.offer(0, {"epoch": epoch, "val_accuracy": epoch / 10}, lambda path: path.write_text("model"))
        paths = existing_run(uri(door, "/models/one"))
        assert [kept.epoch for kept in BestModels(paths.finalists.best).ranked()] == [epoch]
        assert [file.name for file in paths.finalists.best.glob("*.keras")] == [f"trial-0000-epoch-0{epoch}.keras"]
    assert paths.trial_record(0).is_file()
    assert not paths.checkpoint(0).exists()


def test_a_copy_whose_run_the_store_has_lost_is_told_and_can_be_sent_again(
    door: Door, tmp_path: Path, go_elsewhere: Callable[[], Path]
) -> None:
    go_elsewhere()
    files = ObjectFiles(uri(door, "/lost/one"))
    (tmp_path / "file").write_text("{}")
    files.put(tmp_path / "file", "study.json")
    paths = existing_run(uri(door, "/lost/one"))
    paths.best.mkdir()
    BestModels(paths.best, 1).offer(0, {"epoch": 1, "val_accuracy": 0.5}, lambda path: path.write_text("model"))
    files.clear()
    assert files.all() == []
    with pytest.raises(UserError, match="copy of a run that .*/lost/one.* does not have; .*send it there by --resume"):
        new_run(paths).__enter__()
    with Mirror(existing_run(uri(door, "/lost/one")), print):
        paths.trial(0).mkdir(parents=True)
        write(paths.trial_record(0), TrialRecord(0, TrialState.DONE, {}, started=0.0))
    there = [file.name for file in files.all()]
    models = [f"best/trial-0000-epoch-01{ending}" for ending in (".json", ".keras")]
    assert there == [*models, "study.json", "trials/trial-0000/trial.json"]
    assert [kept.trial for kept in BestModels(existing_run(uri(door, "/lost/one")).best).ranked()] == [0]


def test_a_store_that_refuses_is_told_before_anything_begins(door: Door, tmp_path: Path) -> None:
    bad = {
        "ftp://bucket/runs": "give a folder, s3://BUCKET/FOLDER or gs://",
        uri(door, "/runs", "&acess=1"): "Unexpected query parameter in S3 URI: 'acess'",
        uri(door, "/runs").replace("//bucket", "//bocket"): "The specified bucket does not exist",
        "s3://bucket/runs?endpoint_override=127.0.0.1:9&scheme=http": "Could not connect to server",
    }
    for storage, message in bad.items():
        began = time.monotonic()
        command = [sys.executable, str(ROOT / "scripts" / "search.py"), "--data", "digits", "--space", "custom_cnn"]
        done = subprocess.run([*command, "--storage", storage], cwd=tmp_path, text=True, capture_output=True)
        assert done.returncode == 2, done.stdout + done.stderr
        assert message in done.stderr
        assert "Traceback" not in done.stderr
        assert time.monotonic() - began < 30
        assert not list(tmp_path.iterdir())


def test_the_best_models_are_the_same_as_on_a_disk(door: Door, tmp_path: Path) -> None:
    offers = [(0, 1, 0.5), (1, 1, 0.4), (0, 2, 0.6), (0, 3, 0.55), (2, 1, 0.7), (3, 1, 0.1), (4, 1, 0.6)]
    both = BestModels(tmp_path, 2), BestModels(ObjectFiles(uri(door, "/best")), 2)
    for trial, epoch, accuracy in offers:
        result = {"epoch": epoch, "val_accuracy": accuracy}
        one, other = (models.offer(trial, result, lambda path: path.write_text("model")) for models in both)
        assert one == other
    assert both[0].ranked() == both[1].ranked()
    assert [(kept.trial, kept.epoch) for kept in both[0].ranked()] == [(2, 1), (0, 2)]
    assert ObjectFiles(uri(door, "/best")).names() == sorted(path.name for path in tmp_path.iterdir())


def test_a_run_is_held_by_one_machine_at_a_time(door: Door, tmp_path: Path) -> None:
    paths = RunPaths.of(uri(door, "/held"), "one")
    holder = {"host": "far-away", "process": 7, "token": "theirs"}
    for age, is_free in ((10, False), (200, True)):
        (tmp_path / "held").write_text(json.dumps(holder | {"at": time.time() - age}))
        ObjectFiles(uri(door, "/held/one")).put(tmp_path / "held", "held.json")
        with nullcontext() if is_free else pytest.raises(UserError, match="process 7 on far-away works on this run"):
            Mirror(paths, print).__enter__().__exit__(None)
    assert ObjectFiles(uri(door, "/held/one")).names() == []


def test_a_run_is_held_while_something_large_is_sent(
    door: Door, monkeypatch: pytest.MonkeyPatch, go_elsewhere: Callable[[], Path]
) -> None:
    go_elsewhere()
    monkeypatch.setattr("results.hold.HEARTBEAT", 0.2)
    paths, files = RunPaths.of(uri(door, "/large"), "one"), ObjectFiles(uri(door, "/large/one"))
    is_sending, is_sent = threading.Event(), threading.Event()

    def send(self: Mirror, is_last: bool) -> None:
        is_sending.set()
        is_sent.wait(60)

    monkeypatch.setattr(Mirror, "_send_changed", send)
    with Mirror(paths, print):
        assert is_sending.wait(60)
        said = set()
        while len(said) < 3:
            with files.reading("held.json") as file:
                assert file is not None
                with suppress(json.JSONDecodeError):  # the tests' server writes over what it has, while it is read
                    said.add(json.loads(file.read_text())["at"])
        is_sent.set()


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A shell that started the tests in the background has SIGINT ignored, which is inherited."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("when", ["while it runs", "as it ends"])
def test_a_run_that_another_machine_has_taken_over_is_left_to_it(
    when: str, door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, go_elsewhere: Callable[[], Path]
) -> None:
    go_elsewhere()
    folder = f"/{when.replace(' ', '-')}"
    paths, files = RunPaths.of(uri(door, folder), "one"), ObjectFiles(uri(door, f"{folder}/one"))
    theirs = {"host": "far-away", "process": 7, "at": time.time(), "token": "theirs"}
    (tmp_path / "held").write_text(json.dumps(theirs))
    with pytest.raises(Unwritable, match="process 7 on far-away works on this run now"), Mirror(paths, print):
        files.put(tmp_path / "held", "held.json")
        monkeypatch.setattr("results.hold.HEARTBEAT", 0.0)  # it was cut off for so long
        if when == "while it runs":
            began = time.monotonic()
            with pytest.raises(KeyboardInterrupt):
                time.sleep(100)
            assert time.monotonic() - began < 60
        paths.trial(0).mkdir(parents=True)
        write(paths.trial_record(0), TrialRecord(0, TrialState.DONE, {}, started=0.0))
    assert files.names() == ["held.json"]
    with files.reading("held.json") as file:
        assert file is not None
        assert json.loads(file.read_text()) == theirs
