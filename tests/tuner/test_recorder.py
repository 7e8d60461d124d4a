"""Records are written beside the search."""

import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import tuner.recorder
from results.paths import RunPaths
from results.records import TrialRecord, TrialState, read, write
from tuner.clock import StudyClock
from tuner.ending import Ending
from tuner.recorder import Recorder
from tuner.retries import Retries

EPOCHS = 50


def recorder(paths: RunPaths, ending: Ending) -> Recorder:
    paths.trials.mkdir(parents=True)
    return Recorder(paths, EPOCHS, StudyClock(), ending, Retries(3), lambda record: None, lambda note: None)


def trained(recorder: Recorder) -> None:
    """One trial, all its epochs."""
    trial: Any = SimpleNamespace(
        config={"trial": 0, "configuration": {"x": 1}}, last_result={}, metric_analysis={}, metric_n_steps={}
    )
    recorder.on_trial_start(0, [trial], trial)
    for epoch in range(1, EPOCHS + 1):
        measures = {"loss": 1.0, "accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.5, "seconds": 1.0}
        recorder.on_trial_result(0, [trial], trial, {"epoch": epoch, **measures})
    recorder.on_trial_complete(0, [trial], trial)


def test_a_slow_disk_holds_nothing_up_and_gets_several_changes_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, ending = RunPaths.of(tmp_path, "one"), Ending(StudyClock())
    ready, written = threading.Event(), []

    def slowly(path: Path, record: TrialRecord) -> None:
        assert ready.wait(60)
        written.append(len(record.epochs))
        write(path, record)

    monkeypatch.setattr(tuner.recorder, "write", slowly)
    one = recorder(paths, ending)
    trained(one)
    paths.checkpoint(0).parent.mkdir(exist_ok=True)
    paths.checkpoint(0).write_text("of its last epoch")
    assert written == [], "the search went on while the disk had taken nothing"
    ready.set()
    one.close()
    assert len(written) <= 3
    record = read(paths.trial_record(0), TrialRecord)
    assert record.state is TrialState.DONE
    assert [epoch.epoch for epoch in record.epochs] == list(range(1, EPOCHS + 1))
    assert not paths.checkpoint(0).exists(), "it is over"


def test_a_disk_that_takes_nothing_ends_the_study(tmp_path: Path) -> None:
    paths, ending = RunPaths.of(tmp_path, "one"), Ending(StudyClock())
    one = recorder(paths, ending)
    paths.trials.rmdir()  # the disk is gone
    trained(one)
    until = time.monotonic() + 60
    while not ending.stop_all() and time.monotonic() < until:
        time.sleep(0.01)
    one.close()
    assert "No such file or directory" in str(ending.unwritable)
    assert not paths.trials.exists()
