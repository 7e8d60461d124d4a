"""TensorBoard reads what was written, however often the search was ended on the way."""

import dataclasses
import datetime
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.metadata import (
    parse_session_end_info_plugin_data,
    parse_session_start_info_plugin_data,
)

from results.records import EpochRecord, TrialRecord, TrialState
from tuner.tensorboard_logs import TensorBoardLogs

BEGAN = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
CONFIGURATION = {"learning_rate": 0.001, "optimizer": "adam", "residual": True, "blocks": 3}


def trial(number: int, epochs: int, state: TrialState = TrialState.RUNNING) -> TrialRecord:
    done = tuple(EpochRecord(n, 1 / n, 1 - 1 / n, 2 / n, 1 - 2 / (n + 1), 1.0, 10.0 + n) for n in range(1, epochs + 1))
    return TrialRecord(number, state, CONFIGURATION, started=9.0, seconds=2.0 + epochs, epochs=done)


def life(number: int, epochs: int) -> Iterator[TrialRecord]:
    """What is told of a trial from its begin to its end."""
    for done in range(epochs + 1):
        yield trial(number, done)
    yield trial(number, epochs, TrialState.DONE)


def read(folder: Path) -> EventAccumulator:
    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    return accumulator


def steps(folder: Path) -> list[int]:
    return [event.step for event in read(folder).Scalars("val_accuracy")]


def test_each_trial_has_its_curves_and_hyperparameters(tmp_path: Path) -> None:
    logs = TensorBoardLogs(tmp_path, BEGAN)
    for record in life(7, 3):
        logs.changed(record)
    found = read(tmp_path / "trial-0007")
    assert found.Tags()["scalars"] == ["loss", "accuracy", "val_loss", "val_accuracy"]
    losses = [(event.step, event.value, event.wall_time) for event in found.Scalars("val_loss")]
    assert losses == [(n, pytest.approx(2 / n), pytest.approx(BEGAN.timestamp() + 10 + n)) for n in (1, 2, 3)]
    start = found.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    hparams = parse_session_start_info_plugin_data(start).hparams
    assert {name: getattr(value, value.WhichOneof("kind")) for name, value in hparams.items()} == CONFIGURATION
    end = found.SummaryMetadata("_hparams_/session_end_info").plugin_data.content
    assert parse_session_end_info_plugin_data(end).status == 1  # success


def test_a_search_that_goes_on_adds_what_is_missing_and_nothing_twice(tmp_path: Path) -> None:
    first = TensorBoardLogs(tmp_path, BEGAN)
    for record in [trial(0, 0), trial(0, 1), trial(0, 2)]:
        first.changed(record)
    second = TensorBoardLogs(tmp_path, BEGAN)  # it had been killed after epoch 3 was recorded, and before it was here
    for record in [trial(0, 3), trial(0, 3), trial(0, 4), trial(0, 4, TrialState.DONE)]:
        second.changed(record)
    assert steps(tmp_path / "trial-0000") == [1, 2, 3, 4]
    TensorBoardLogs(tmp_path, BEGAN).changed(trial(0, 4, TrialState.DONE))
    assert steps(tmp_path / "trial-0000") == [1, 2, 3, 4]


@pytest.mark.parametrize("lost", [1, 30, 200])
def test_a_file_that_a_killed_search_left_in_pieces_is_completed(tmp_path: Path, lost: int) -> None:
    logs = TensorBoardLogs(tmp_path, BEGAN)
    for record in life(0, 3):
        logs.changed(record)
    (file,) = (tmp_path / "trial-0000").iterdir()
    whole = file.read_bytes()
    for damaged in (whole[:-lost], whole[:-lost] + b"x" * lost):
        file.write_bytes(damaged)
        TensorBoardLogs(tmp_path, BEGAN).changed(trial(0, 3, TrialState.DONE))
        assert file.read_bytes() == whole


def test_a_failed_trial_is_marked_and_thousands_hold_no_file_open(tmp_path: Path) -> None:
    logs = TensorBoardLogs(tmp_path, BEGAN)
    before = len(os.listdir("/proc/self/fd"))
    for number in range(1000):
        logs.changed(trial(number, 1))
    assert len(os.listdir("/proc/self/fd")) == before
    logs.changed(dataclasses.replace(trial(3, 1), state=TrialState.FAILED, reason="diverged"))
    end = read(tmp_path / "trial-0003").SummaryMetadata("_hparams_/session_end_info").plugin_data.content
    assert parse_session_end_info_plugin_data(end).status == 2  # failure
