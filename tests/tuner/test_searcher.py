"""What became of a trial is what Optuna is told."""

import math
import time
import warnings
from pathlib import Path
from typing import Any

import keras_tuner
import optuna
import pytest
from optuna.trial import TrialState
from ray.tune.search import Searcher

from search_spaces.declaration import read
from tests.tuner.at_once import AtOnce
from tuner.clock import StudyClock
from tuner.ending import Ending
from tuner.journal import create_study
from tuner.proposal.deadline import Deadline
from tuner.proposal.proposer import Proposer
from tuner.proposal.suggestion import Suggestions
from tuner.retries import Retries
from tuner.searcher import MOST_FAILED, MOST_INFEASIBLE, StudySearcher


@pytest.fixture
def study(tmp_path: Path) -> optuna.Study:
    return create_study(tmp_path / "study.journal", "my-run")


def searcher(study: optuna.Study, concurrency: int = 2, **options: Any) -> StudySearcher:
    hp = keras_tuner.HyperParameters()
    for name in options.get("names", "x"):
        hp.Int(name, 0, options.get("high", 999))
    space, first, trials = read(hp), options.get("first", []), options.get("trials", 20)
    proposer = Proposer(space, rungs=(1, 3), seed=options.get("seed", 0))
    deadline = Deadline(space, 1, options.get("seconds"), workers=0, clock=options.get("clock", time.monotonic))
    retries, suggestions = Retries(options.get("max_failures", 0)), Suggestions(space)
    ledger = AtOnce(study, suggestions, Ending(StudyClock()))
    return StudySearcher(ledger, suggestions, proposer, deadline, first, 3, lambda: concurrency, trials, retries)


def result(epoch: int, accuracy: float) -> dict[str, Any]:
    return {"epoch": epoch, "val_accuracy": accuracy, "time_total_s": 10.0 * epoch}


def test_a_finished_trial_is_complete_with_its_best_epoch(study: optuna.Study) -> None:
    one = searcher(study)
    one.suggest("a")
    one.on_trial_result("a", result(1, 0.5))
    one.on_trial_result("a", result(2, 0.8))
    one.on_trial_complete("a", result(3, 0.7))
    assert study.trials[0].state is TrialState.COMPLETE
    assert study.trials[0].value == 0.8
    assert study.trials[0].intermediate_values == {1: 0.5, 2: 0.8, 3: 0.7}


def test_a_stopped_trial_is_pruned_with_the_epochs_it_had(study: optuna.Study) -> None:
    one = searcher(study)
    one.suggest("a")
    one.on_trial_result("a", result(1, 0.5))
    one.on_trial_complete("a", result(1, 0.5))
    assert study.trials[0].state is TrialState.PRUNED
    assert study.trials[0].intermediate_values == {1: 0.5}


@pytest.mark.parametrize("epochs", [0, 1])
def test_a_diverged_trial_has_failed_with_its_reason(study: optuna.Study, epochs: int) -> None:
    one = searcher(study)
    one.suggest("a")
    for epoch in range(epochs):
        one.on_trial_result("a", result(epoch + 1, 0.5))
    one.on_trial_complete("a", {"failure": "diverged: loss is nan in epoch 2", "val_accuracy": math.nan})
    assert study.trials[0].state is TrialState.FAIL
    assert study.trials[0].user_attrs["failure"] == "diverged: loss is nan in epoch 2"


def test_a_dead_worker_is_a_failed_trial(study: optuna.Study) -> None:
    one = searcher(study)
    one.suggest("a")
    one.on_trial_complete("a", None, error=True)
    assert study.trials[0].state is TrialState.FAIL


def test_nothing_stays_running_when_the_study_ends(study: optuna.Study) -> None:
    one = searcher(study)
    one.suggest("a")
    one.suggest("b")
    one.on_trial_result("b", result(1, 0.5))
    one.close()
    assert [trial.state for trial in study.trials] == [TrialState.FAIL, TrialState.PRUNED]


def test_no_configuration_is_chosen_before_its_slot_is_free(study: optuna.Study) -> None:
    one = searcher(study, concurrency=1)
    assert one.suggest("a") is not None
    assert one.suggest("b") is None
    one.on_trial_complete("a", result(3, 0.7))
    assert one.suggest("b") not in (None, Searcher.FINISHED)


def test_given_configurations_come_first_and_in_order(study: optuna.Study) -> None:
    one = searcher(study, concurrency=9, first=[{"x": 7}, {"x": 2}])
    assert [one.suggest(name) for name in "ab"] == [
        {"trial": 0, "configuration": {"x": 7}},
        {"trial": 1, "configuration": {"x": 2}},
    ]


def test_the_study_is_stored_under_the_runs_name(study: optuna.Study, tmp_path: Path) -> None:
    searcher(study).suggest("a")
    storage = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(tmp_path / "study.journal"))
    )
    assert len(optuna.load_study(study_name="my-run", storage=storage).trials) == 1


def proposed(journal: Path, seed: int, trials: int = 30) -> list[int]:
    """What one worker is given when the highest number is best."""
    journal.parent.mkdir()
    one = searcher(create_study(journal, "s"), concurrency=1, seed=seed, trials=trials)
    values = []
    for number in range(trials):
        suggestion = one.suggest(str(number))
        assert suggestion is not None
        values.append(suggestion["configuration"]["x"])
        one.on_trial_complete(str(number), result(3, values[-1] / 999))
    return values


def test_a_seed_repeats_the_proposals(tmp_path: Path) -> None:
    first, again, other = (proposed(tmp_path / str(run) / "journal", seed) for run, seed in enumerate([5, 5, 6]))
    assert first == again
    assert first != other
    assert sum(first[15:]) > 1.3 * sum(first[:15])  # after its random start it leans towards what scored high


def test_no_configuration_is_tried_twice_and_a_space_can_end(study: optuna.Study) -> None:
    one = searcher(study, concurrency=1, high=4, first=[{"x": 3}])
    values = []
    while (suggestion := one.suggest(str(len(values)))) not in (None, Searcher.FINISHED):
        assert isinstance(suggestion, dict)
        values.append(suggestion["configuration"]["x"])
        one.on_trial_complete(str(len(values) - 1), result(3, 0.5))
    assert sorted(values) == [0, 1, 2, 3, 4]
    assert one.ended_early == "no configuration was found that has not been tried; 5 were"


def test_no_trial_begins_that_cannot_reach_its_first_rung(study: optuna.Study) -> None:
    now = [0.0]
    one = searcher(study, concurrency=1, seconds=100.0, clock=lambda: now[0], first=[{"x": x} for x in range(11)])
    for number in range(9):  # each takes 10 s to its first rung
        assert one.suggest(str(number)) is not None
        one.on_trial_result(str(number), result(1, 0.5))
        now[0] += 10.0
        one.on_trial_complete(str(number), result(1, 0.5))
    now[0] = 85.0
    assert isinstance(one.suggest("there is time"), dict)
    one.on_trial_complete("there is time", result(1, 0.5))
    now[0] = 95.0
    assert one.suggest("too late") == Searcher.FINISHED
    assert one.ended_early == "no other trial would have reached its first rung in the time that was left"
    assert (len(study.trials), one.left_out) == (10, 1)


def infeasible() -> dict[str, Any]:
    return {"infeasible": "more than --max-parameters 100", "value": 250, "val_accuracy": math.nan, "done": True}


def test_what_is_infeasible_does_not_count_among_the_trials(study: optuna.Study) -> None:
    one = searcher(study, concurrency=1, trials=2)
    ends = [infeasible(), result(3, 0.5), infeasible(), infeasible(), result(3, 0.6)]
    for number, end in enumerate(ends):
        assert isinstance(one.suggest(str(number)), dict)
        one.on_trial_complete(str(number), end)
    assert one.suggest("more") == Searcher.FINISHED
    assert [trial.state for trial in study.trials].count(TrialState.COMPLETE) == 2
    assert study.trials[0].user_attrs["failure"] == "more than --max-parameters 100"


def test_a_study_ends_when_nothing_is_feasible(study: optuna.Study) -> None:
    one = searcher(study, concurrency=3, trials=5)
    running: list[str] = []
    for number in range(1000):
        if isinstance(one.suggest(str(number)), dict):
            running.append(str(number))
        elif not running:
            break
        if len(running) == 3 or one.ended_early:
            one.on_trial_complete(running.pop(0), infeasible())
    assert MOST_INFEASIBLE <= len(study.trials) <= MOST_INFEASIBLE + 2
    assert one.suggest("more") == Searcher.FINISHED
    assert one.ended_early is not None
    assert one.ended_early.startswith(
        "the models of 52 configurations in a row had more than --max-parameters 100, 250 or more: raise the limit"
    )


def test_a_good_trial_that_ends_late_does_not_undo_the_end(study: optuna.Study) -> None:
    one = searcher(study, concurrency=3, trials=5)
    for name in ("good", "a", "b"):
        one.suggest(name)
    running = ["a", "b"]
    while not one.ended_early:
        one.on_trial_complete(running.pop(0), infeasible())
        running.append(str(len(study.trials)))
        one.suggest(running[-1])
    one.on_trial_complete("good", result(3, 0.5))
    for name in running:
        one.on_trial_complete(name, infeasible())
    assert one.suggest("more") == Searcher.FINISHED


def test_each_limit_is_named_when_nothing_is_feasible(study: optuna.Study) -> None:
    one = searcher(study, concurrency=1, trials=5)
    slow = infeasible() | {"infeasible": "more than --max-latency 5 ms", "value": 5.1}
    for number in range(MOST_INFEASIBLE):
        one.suggest(str(number))
        one.on_trial_complete(str(number), slow if number == MOST_INFEASIBLE - 1 else infeasible())
    assert one.ended_early is not None
    assert "--max-parameters 100, 250 or more or more than --max-latency 5 ms, 5.1 or more: raise" in one.ended_early


def test_a_configuration_that_is_known_is_not_tried_again(study: optuna.Study) -> None:
    one = searcher(study, concurrency=9, first=[{"x": 1}, {"x": 1}, {"x": 2}])
    one._proposer.begin(-1, {"x": 2})
    first, second = one.suggest("a"), one.suggest("b")
    assert first is not None
    assert first["configuration"] == {"x": 1}
    assert second is not None
    assert second["configuration"]["x"] not in (1, 2)


def test_a_trial_that_ran_out_of_memory_is_tried_again_alone_at_the_end(study: optuna.Study) -> None:
    one = searcher(study, trials=3)
    first = one.suggest("a")
    one.suggest("b")
    one.on_trial_complete("a", {"failure": "out of memory: no room", "val_accuracy": math.nan, "again": True})
    assert one.suggest("c") != first
    one.on_trial_complete("c", result(3, 0.5))
    assert one.suggest("d") is None  # "b" still runs
    one.on_trial_complete("b", result(3, 0.5))
    assert one.suggest("e") == {**first, "alone": True}
    assert one.suggest("f") is None
    one.on_trial_complete("e", result(3, 0.9))
    assert study.trials[0].value == 0.9
    assert "failure" not in study.trials[0].user_attrs
    assert one.suggest("g") == Searcher.FINISHED


def test_a_second_try_goes_on_with_the_epochs_that_there_were(study: optuna.Study) -> None:
    one = searcher(study, trials=1)
    one.suggest("a")
    one.on_trial_result("a", result(1, 0.5))
    one.on_trial_complete("a", {"failure": "out of memory: no room", "val_accuracy": math.nan, "again": True})
    one.suggest("b")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Optuna warns of an epoch that it knows
        for epoch, accuracy in ((1, 0.3), (2, 0.4), (3, 0.6)):
            one.on_trial_result("b", result(epoch, accuracy))
    one.on_trial_complete("b", result(3, 0.6))
    assert study.trials[0].intermediate_values == {1: 0.5, 2: 0.4, 3: 0.6}
    assert study.trials[0].value == 0.6


def test_a_lost_worker_is_replaced_as_often_as_is_asked_for(study: optuna.Study) -> None:
    one = searcher(study, concurrency=1, trials=2, max_failures=2)
    first = one.suggest("0")
    one.on_trial_result("0", result(1, 0.5))
    for attempt in ("1", "2"):
        one.on_trial_complete(str(int(attempt) - 1), error=True)
        assert one.suggest(attempt) == first  # before anything new
    assert [trial.state for trial in study.trials] == [TrialState.RUNNING]
    one.on_trial_complete("2", error=True)
    assert study.trials[0].state is TrialState.FAIL
    assert study.trials[0].user_attrs["failure"] == "its worker failed"
    another = one.suggest("3")
    assert isinstance(another, dict)
    assert another["trial"] == 1


@pytest.mark.parametrize(("good", "is_over"), [(None, True), (0, False), (3, False)])
def test_a_study_ends_when_its_first_trials_all_fail_for_one_reason(
    study: optuna.Study, good: int | None, is_over: bool
) -> None:
    one = searcher(study, concurrency=1)
    for number in range(MOST_FAILED):
        one.suggest(str(number))
        failure = {"failure": f"epoch 1 failed: ValueError: shapes {number} and 3", "val_accuracy": math.nan}
        one.on_trial_complete(str(number), result(3, 0.5) if number == good else failure)
    assert (one.suggest("more") == Searcher.FINISHED) == is_over
    reason = "the first 5 trials all failed: epoch 1 failed: ValueError: shapes 4 and 3"
    assert one.ended_early == (reason if is_over else None)


def test_different_reasons_do_not_end_a_study(study: optuna.Study) -> None:
    one = searcher(study, concurrency=1)
    for number in range(MOST_FAILED):
        one.suggest(str(number))
        why = "diverged: loss is nan in epoch 1" if number == 2 else "no such layer"
        one.on_trial_complete(str(number), {"failure": why, "val_accuracy": math.nan})
    assert isinstance(one.suggest("more"), dict)


def test_a_second_try_for_which_there_is_no_time_is_not_begun(study: optuna.Study) -> None:
    now = [0.0]
    one = searcher(study, trials=2, seconds=100, clock=lambda: now[0])
    one.suggest("a")
    one.suggest("b")
    one.on_trial_complete("a", {"failure": "out of memory: no room", "val_accuracy": math.nan, "again": True})
    one.on_trial_complete("b", result(3, 0.5) | {"time_total_s": 30.0})
    now[0] = 101
    assert one.suggest("c") == Searcher.FINISHED
    assert study.trials[0].state is TrialState.FAIL
    assert study.trials[0].user_attrs["failure"] == "out of memory: no room"


def test_a_study_that_ends_before_the_second_try_leaves_none_running(study: optuna.Study) -> None:
    one = searcher(study)
    one.suggest("a")
    one.on_trial_complete("a", {"failure": "out of memory: no room", "val_accuracy": math.nan, "again": True})
    one.close()
    assert study.trials[0].state is TrialState.FAIL
    assert study.trials[0].user_attrs["failure"] == "out of memory: no room"


def test_epochs_that_were_lost_with_the_driver_are_told_with_the_next_one(study: optuna.Study) -> None:
    one = searcher(study)
    one.suggest("a")
    one.on_trial_result("a", result(3, 0.7) | {"before": [result(1, 0.5), result(2, 0.8)]})
    assert study.trials[0].intermediate_values == {1: 0.5, 2: 0.8, 3: 0.7}


def too_long(seconds: float) -> dict[str, Any]:
    return {"too_long": seconds, "val_accuracy": math.nan, "done": True}


def test_a_skipped_trial_is_no_failure_and_does_not_count(study: optuna.Study) -> None:
    one = searcher(study, concurrency=1, trials=2, seconds=1000.0, clock=lambda: 0.0, first=[{"x": 500}])
    ends = [result(3, 0.4), *[too_long(300.0)] * MOST_FAILED, result(3, 0.5)]
    for number, end in enumerate(ends):
        assert isinstance(one.suggest(str(number)), dict)
        one.on_trial_complete(str(number), end)
    assert one.suggest("more") == Searcher.FINISHED
    assert one.ended_early is None
    assert [trial.state for trial in study.trials].count(TrialState.COMPLETE) == 2
    assert study.trials[1].user_attrs["failure"] == "would take 300 s to its first rung"


def test_a_trial_is_told_how_long_it_may_take(study: optuna.Study) -> None:
    now = [0.0]
    one = searcher(study, seconds=400.0, clock=lambda: now[0], first=[{"x": 7}], max_failures=1)
    given, drawn = one.suggest("given"), one.suggest("drawn")
    assert (given["left"], given["most"]) == (400, 400)  # whoever asked for it wants to see it
    assert (drawn["left"], drawn["most"]) == (400, 100)
    now[0] = 200.0
    one.on_trial_complete("drawn", error=True)
    again = one.suggest("again")
    assert again["configuration"] == drawn["configuration"]
    assert (again["left"], again["most"]) == (200, 50)


@pytest.mark.parametrize(("seconds", "is_near"), [(1e6, True), (None, False)])
def test_under_a_budget_the_first_trials_are_near_what_is_given(
    study: optuna.Study, seconds: float | None, is_near: bool
) -> None:
    given = dict.fromkeys("xyzuvw", 500)
    one = searcher(study, concurrency=1, first=[given], names="xyzuvw", seconds=seconds, clock=lambda: 0.0)
    kept = []
    for number in range(5):
        suggestion = one.suggest(str(number))
        assert isinstance(suggestion, dict)
        kept.append(sum(value == 500 for value in suggestion["configuration"].values()))
        one.on_trial_complete(str(number), result(3, 0.5))
    assert (min(kept[1:]) > 0) == is_near
    assert max(kept[1:]) < 6


def test_a_space_of_slow_configurations_is_tried_all_the_same(study: optuna.Study) -> None:
    """Nothing is within a quarter of the time, and still the time is used."""
    now = [0.0]
    one = searcher(study, concurrency=1, high=9, seconds=1000.0, clock=lambda: now[0], first=[{"x": 0}])
    for number in range(4):
        suggestion = one.suggest(str(number))
        assert isinstance(suggestion, dict)
        assert suggestion["most"] >= 240
        now[0] += 240.0
        one.on_trial_complete(str(number), result(3, 0.5) | {"epoch": 1, "time_total_s": 240.0})
    assert one.suggest("late") == Searcher.FINISHED
    assert one.ended_early == "no other trial would have reached its first rung in the time that was left"


class Simulated:
    """A search of one worker on a clock of its own: one value in ten is quick, and no good."""

    def __init__(self, study: optuna.Study, seconds: float, seed: int) -> None:
        self.now = 0.0
        self.ends: list[str] = []
        one = searcher(study, concurrency=1, seconds=seconds, clock=lambda: self.now, first=[{"x": 20}], seed=seed)
        while isinstance(suggestion := one.suggest(str(len(self.ends))), dict):
            self.train(one, suggestion, seconds)

    def train(self, one: StudySearcher, suggestion: dict[str, Any], budget: float) -> None:
        x, name, began = suggestion["configuration"]["x"], str(len(self.ends)), self.now
        takes = 10.0 if x < 100 else 10.0 + x / 4  # to the first rung
        if takes - 5 > suggestion["most"] or takes > suggestion["left"]:
            self.now += 5.0
            self.ends.append("skipped")
            one.on_trial_complete(name, too_long(takes))
            return
        self.now += takes
        assert self.now <= budget, "it did not reach its first rung"
        self.ends.append("ended")
        one.on_trial_complete(name, result(1, 0.5) | {"time_total_s": self.now - began})


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("seconds", [60.0, 200.0, 400.0])
def test_no_search_is_spent_on_one_slow_trial(study: optuna.Study, seconds: float, seed: int) -> None:
    search = Simulated(study, seconds, seed)
    assert search.ends.count("ended") >= seconds / 40
    assert search.ends.count("skipped") <= len(search.ends) / 2
