"""A study that is taken up again knows what it knew."""

import dataclasses
import datetime
import random
from pathlib import Path
from typing import Any

import keras_tuner
import optuna
import pytest

from results.records import EpochRecord, TrialRecord, TrialState
from search_spaces.declaration import read
from tests.tuner.at_once import AtOnce
from tuner.clock import StudyClock, searched
from tuner.config import StudyConfig
from tuner.ending import Ending
from tuner.journal import NEVER_BEGAN, create_study, restore
from tuner.proposal.deadline import Deadline
from tuner.proposal.proposer import Proposer
from tuner.proposal.suggestion import Suggestions
from tuner.replay import attempts, replay
from tuner.retries import Retries
from tuner.scheduler import create_scheduler, rungs
from tuner.searcher import StudySearcher

CONFIG = StudyConfig(max_epochs=9, grace_epochs=1)
BEGAN = datetime.datetime(2026, 1, 1)


def space() -> Any:
    hp = keras_tuner.HyperParameters()
    hp.Float("x", 0, 1)
    hp.Choice("kind", ["a", "b"])
    return read(hp)


class Study:
    """One worker's study on paper, whose records can be handed to another one."""

    def __init__(self, journal: Path, before: list[TrialRecord], trials: int = 40) -> None:
        self.scheduler = create_scheduler(CONFIG)
        self.proposer = Proposer(space(), rungs(CONFIG), seed=0)
        deadline = Deadline(space(), 1, None, 1, clock=StudyClock())
        self.records = {
            one.trial: one for one in replay(before, CONFIG.max_epochs, self.proposer, deadline, self.scheduler)
        }
        self.study = create_study(journal, "s")
        now = list(self.records.values())
        suggestions = Suggestions(space())
        restore(self.study, suggestions, now, BEGAN)
        left = trials - len(now)
        ledger = AtOnce(self.study, suggestions, Ending(StudyClock()))
        self.searcher = StudySearcher(
            ledger, suggestions, self.proposer, deadline, [], CONFIG.max_epochs, lambda: 1, left, Retries(0),
            attempts(now),
        )  # fmt: skip
        self.time = searched(now)

    def run(self, events: int) -> int:
        """So many reports or beginnings, or up to the end: how many there were."""
        done = 0
        while done < events:
            config = self.searcher.suggest("ray's")
            if not isinstance(config, dict):
                break
            done += 1
            number, configuration = config["trial"], config["configuration"]
            self.time += 1
            record = self.records.get(number) or TrialRecord(
                number, TrialState.RUNNING, configuration, started=self.time
            )
            self.records[number] = record
            trial: Any = type("Trial", (), {"config": config})
            self.scheduler.on_trial_add(None, trial)  # type: ignore[arg-type]
            for epoch in range(len(record.epochs) + 1, CONFIG.max_epochs + 1):
                if done >= events:
                    return done
                done += 1
                self.time += 1
                if epoch == 1 and configuration["kind"] == "b" and configuration["x"] > 0.4:
                    result = {"failure": "diverged"}
                    break
                accuracy = 0.9 - abs(configuration["x"] - 0.3) - 0.5 / epoch + 0.01 * random.Random(number).random()
                self.records[number] = record = dataclasses.replace(
                    record, epochs=(*record.epochs, EpochRecord(epoch, 0, 0, 0, accuracy, 1.0, self.time))
                )
                result = {"epoch": epoch, "val_accuracy": accuracy, "time_total_s": 1.0}
                decision = self.scheduler.on_trial_result(None, trial, result)  # type: ignore[arg-type]
                if decision == "STOP":
                    break
                self.searcher.on_trial_result("ray's", result)
            self.searcher.on_trial_complete("ray's", result)
            self.time += 1
            state = TrialState.DONE if len(record.epochs) == CONFIG.max_epochs else TrialState.STOPPED
            state = TrialState.FAILED if "failure" in result else state
            self.records[number] = dataclasses.replace(
                record, state=state, seconds=self.time - record.started, reason=result.get("failure")
            )
        return done


@pytest.mark.parametrize("seed", range(5))
def test_a_study_in_pieces_is_the_same_study(seed: int, tmp_path: Path) -> None:
    whole = Study(tmp_path / "whole", [])
    whole.run(10_000)
    rng, records, pieces = random.Random(seed), [], 0
    while True:
        piece = Study(tmp_path / "pieces", records)
        length = rng.randrange(1, 60)
        is_over = piece.run(length) < length
        records, pieces = list(piece.records.values()), pieces + 1
        if is_over:
            break
    assert pieces > 3
    assert [(one.configuration, len(one.epochs), one.state) for one in records] == [
        (one.configuration, len(one.epochs), one.state) for one in whole.records.values()
    ]
    assert {one.state for one in records} == {TrialState.DONE, TrialState.STOPPED, TrialState.FAILED}
    told = [(one.state, one.values, one.params, one.intermediate_values) for one in piece.study.trials]
    assert told == [(one.state, one.values, one.params, one.intermediate_values) for one in whole.study.trials]


def record(number: int, accuracies: list[float], state: TrialState, **given: Any) -> TrialRecord:
    started = 100.0 * number
    epochs = tuple(
        EpochRecord(epoch, 0, 0, 0, accuracy, 1.0, started + epoch)
        for epoch, accuracy in enumerate(accuracies, start=1)
    )
    configuration = {"x": round(0.1 * number, 1), "kind": "a"}
    return TrialRecord(number, state, configuration, started, float(len(epochs)), epochs, **given)


def replayed(trials: list[TrialRecord]) -> list[TrialRecord]:
    deadline = Deadline(space(), 1, None, 1, clock=StudyClock())
    return replay(trials, 9, Proposer(space(), rungs(CONFIG), seed=0), deadline, create_scheduler(CONFIG))


def test_what_a_crash_kept_from_being_written_down_is_settled() -> None:
    before = [
        record(0, [0.5] * 9, TrialState.RUNNING),  # its end was not written any more
        record(1, [0.1], TrialState.RUNNING),  # the scheduler had stopped it
        record(2, [0.6, 0.7], TrialState.RUNNING),
        record(3, [], TrialState.RUNNING),
        record(4, [0.6], TrialState.INTERRUPTED),
        record(5, [], TrialState.FAILED, reason="no such layer"),
    ]
    after = replayed(before)
    assert [one.state.name for one in after] == ["DONE", "STOPPED", *["INTERRUPTED"] * 3, "FAILED"]
    assert [(one.number, one.accuracies) for one in attempts(after)] == [(2, {1: 0.6, 2: 0.7}), (3, {}), (4, {1: 0.6})]


def test_the_journal_holds_every_trial_under_its_number(tmp_path: Path) -> None:
    trials = [
        record(0, [0.5] * 9, TrialState.DONE),
        record(2, [0.1], TrialState.STOPPED),
        record(3, [0.3], TrialState.FAILED, reason="diverged"),
        record(4, [0.6], TrialState.INTERRUPTED),
    ]
    study = create_study(tmp_path / "journal", "s")
    restore(study, Suggestions(space()), trials, BEGAN)
    assert [one.state.name for one in study.trials] == ["COMPLETE", "FAIL", "PRUNED", "FAIL", "RUNNING"]
    assert study.trials[1].user_attrs == {"failure": NEVER_BEGAN}
    assert study.trials[3].user_attrs == {"failure": "diverged"}
    assert study.best_value == 0.5
    assert study.trials[4].params == {"x": 0.4, "kind": "a"}
    assert study.trials[2].datetime_complete == BEGAN + datetime.timedelta(seconds=201)


def test_a_journal_that_a_crash_cut_short_is_written_anew(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    restore(create_study(journal, "s"), Suggestions(space()), [record(0, [0.5] * 9, TrialState.DONE)], BEGAN)
    journal.write_bytes(journal.read_bytes()[:-20])
    again = create_study(journal, "s")
    restore(again, Suggestions(space()), [record(0, [0.5] * 9, TrialState.DONE)], BEGAN)
    again.ask()
    assert [one.state.name for one in again.trials] == ["COMPLETE", "RUNNING"]
    assert isinstance(again, optuna.Study)


def test_what_was_skipped_for_want_of_time_may_be_tried_when_there_is_more() -> None:
    trials = [
        record(0, [0.5] * 9, TrialState.DONE),
        record(1, [], TrialState.SKIPPED, reason="it would have taken about 4m00s to its first rung"),
    ]
    proposer = Proposer(space(), rungs(CONFIG), seed=0)
    after = replay(trials, 9, proposer, Deadline(space(), 1, None, 1, clock=StudyClock()), create_scheduler(CONFIG))
    assert after == trials
    assert [proposer.knows(one.configuration) for one in trials] == [True, False]
    assert attempts(after) == []
