"""Records are written beside the search."""

import errno
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import tuner.recorder
from results.paths import RunPaths
from results.records import TrialRecord, TrialState, read, write
from results.whole_file import Unwritable
from tuner.clock import StudyClock
from tuner.ending import Ending
from tuner.recorder import Recorder
from tuner.retries import Retries

EPOCHS = 50


def recorder(paths: RunPaths, ending: Ending) -> Recorder:
    paths.trials.mkdir(parents=True)
    return Recorder(paths, EPOCHS, StudyClock(), ending, Retries(3), lambda record: None, lambda note: None)


def a_trial() -> Any:
    """As Ray Tune has it."""
    return SimpleNamespace(
        config={"trial": 0, "configuration": {"x": 1}}, last_result={}, metric_analysis={}, metric_n_steps={}
    )


def trained(recorder: Recorder) -> None:
    """One trial, all its epochs."""
    trial = a_trial()
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
        if record.epochs:  # the first one is written before the trial trains
            assert ready.wait(60)
            assert paths.checkpoint(0).exists(), "it is there until the record says that the trial is over"
        written.append(len(record.epochs))
        write(path, record)

    monkeypatch.setattr(tuner.recorder, "write", slowly)
    one = recorder(paths, ending)
    trained(one)
    paths.checkpoint(0).write_text("of its last epoch")
    assert written == [0], "the search went on while the disk took nothing"
    ready.set()
    one.close()
    assert len(written) <= 3
    assert ending.unwritable is None
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
    assert ending.stop_all()
    one.close()
    assert "No such file or directory" in str(ending.unwritable)
    assert not paths.trials.exists()


def test_what_could_not_be_written_is_tried_once_more_and_the_checkpoint_stays_as_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, ending = RunPaths.of(tmp_path, "one"), Ending(StudyClock())
    is_full = True

    def full(path: Path, record: TrialRecord) -> None:
        if record.epochs and is_full:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(path, record)

    monkeypatch.setattr(tuner.recorder, "write", full)
    one = recorder(paths, ending)
    trained(one)
    paths.checkpoint(0).write_text("of its last epoch")
    one.flush()
    with pytest.raises(Unwritable, match=r"trial.json: No space left on device\. .*--resume"):
        ending.check()
    assert paths.checkpoint(0).exists()
    assert read(paths.trial_record(0), TrialRecord).epochs == ()
    is_full = False
    one.flush()
    assert len(read(paths.trial_record(0), TrialRecord).epochs) == EPOCHS


def test_a_reason_that_is_no_text_is_recorded(tmp_path: Path) -> None:
    """Names of files may hold bytes that are none."""
    paths, ending = RunPaths.of(tmp_path, "one"), Ending(StudyClock())
    one, trial = recorder(paths, ending), a_trial()
    one.on_trial_start(0, [trial], trial)
    one.on_trial_result(0, [trial], trial, {"failure": "cannot read /photos/\udce9.png"})
    one.close()
    ending.check()
    assert read(paths.trial_record(0), TrialRecord).reason == r"cannot read /photos/\udce9.png"


def test_cross_entropy_is_recorded_where_a_model_reports_it(tmp_path: Path) -> None:
    paths, trial = RunPaths.of(tmp_path, "one"), a_trial()
    one = recorder(paths, Ending(StudyClock()))
    one.on_trial_start(0, [trial], trial)
    measures = {"loss": 37.0, "accuracy": 0.5, "val_loss": 36.0, "val_accuracy": 0.5, "seconds": 1.0}
    theirs = {"categorical_crossentropy": 1.5, "val_categorical_crossentropy": 1.0}
    one.on_trial_result(0, [trial], trial, {"epoch": 1, **measures, **theirs})
    one.on_trial_result(0, [trial], trial, {"epoch": 2, **measures})
    one.flush()
    epochs = read(paths.trial_record(0), TrialRecord).epochs
    assert [(epoch.loss, epoch.cross_entropy, epoch.val_cross_entropy) for epoch in epochs] == [
        (37.0, 1.5, 1.0), (37.0, None, None),
    ]  # fmt: skip


def test_a_trial_that_would_take_too_long_is_skipped_and_says_so(tmp_path: Path) -> None:
    paths, ending = RunPaths.of(tmp_path, "one"), Ending(StudyClock())
    one, trial = recorder(paths, ending), a_trial()
    one.on_trial_start(0, [trial], trial)
    measured = {"parameters": 7.0, "file_bytes": 28.0, "latency": 0.5}
    one.on_trial_result(0, [trial], trial, {"too_long": 240.0, "to_epoch": 1, "val_accuracy": float("nan"), **measured})
    one.on_trial_complete(0, [trial], trial)
    one.close()
    record = read(paths.trial_record(0), TrialRecord)
    assert (record.state, record.epochs, record.parameters) == (TrialState.SKIPPED, (), 7)
    assert record.reason == "it would have taken about 4m00s to the end of epoch 1"


@pytest.mark.parametrize(
    ("budget", "epochs", "state"),
    [(0.0, 0, TrialState.SKIPPED), (0.0, 1, TrialState.INTERRUPTED), (None, 0, TrialState.INTERRUPTED)],
)
def test_what_had_no_epoch_when_the_time_was_up_is_not_called_interrupted(
    tmp_path: Path, budget: float | None, epochs: int, state: TrialState
) -> None:
    paths = RunPaths.of(tmp_path, "one")
    one, trial = recorder(paths, Ending(StudyClock(), budget)), a_trial()
    one.on_trial_start(0, [trial], trial)
    for epoch in range(1, epochs + 1):
        measures = {"loss": 1.0, "accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.5, "seconds": 1.0}
        one.on_trial_result(0, [trial], trial, {"epoch": epoch, **measures})
    one.close()
    assert read(paths.trial_record(0), TrialRecord).state is state


def test_what_waits_to_be_tried_again_alone_is_interrupted_when_the_time_is_up(tmp_path: Path) -> None:
    paths, ending, trial = RunPaths.of(tmp_path, "one"), Ending(StudyClock(), 0.0), a_trial()
    one = recorder(paths, ending)
    one.on_trial_start(0, [trial], trial)
    one.on_trial_result(0, [trial], trial, {"failure": "out of memory", "again": True, "val_accuracy": float("nan")})
    one.close()
    record = read(paths.trial_record(0), TrialRecord)
    assert (record.state, record.reason) == (TrialState.INTERRUPTED, "out of memory")
