"""ASHA's rungs, driven as Ray drives them."""

import math
from typing import Any

import pytest
from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from tuner.config import StudyConfig
from tuner.scheduler import create_scheduler


class Trial:
    """As much of Ray's trial as a scheduler looks at."""

    def __init__(self, name: str, trial_id: str = "ray's") -> None:
        self.trial_id = trial_id
        self.config = {"trial": name}


@pytest.fixture
def asha() -> Any:
    return create_scheduler(StudyConfig(max_epochs=9, reduction_factor=3))


def decide(asha: ASHAScheduler, name: str, epoch: int, accuracy: float) -> str:
    trial: Any = Trial(name)
    if epoch == 1:
        asha.on_trial_add(None, trial)
    return asha.on_trial_result(None, trial, {"epoch": epoch, "val_accuracy": accuracy})


def test_the_weak_stop_and_the_strong_go_on(asha: ASHAScheduler) -> None:
    decisions = [decide(asha, str(number), 1, accuracy) for number, accuracy in enumerate([0.5, 0.6, 0.7, 0.4, 0.8])]
    go, stop = TrialScheduler.CONTINUE, TrialScheduler.STOP
    assert decisions == [go, go, go, stop, go]


def test_a_trial_that_goes_on_in_another_worker_is_counted_once(asha: ASHAScheduler) -> None:
    for number, accuracy in enumerate([0.5, 0.6, 0.7]):
        decide(asha, str(number), 1, accuracy)
    again: Any = Trial("2", trial_id="another of ray's")
    asha.on_trial_add(None, again)
    assert asha.on_trial_result(None, again, {"epoch": 1, "val_accuracy": 0.1}) == TrialScheduler.CONTINUE
    (_, rung) = asha._brackets[0]._rungs[-1]
    assert sorted(rung.values()) == [0.5, 0.6, 0.7]


def test_a_failed_trial_leaves_no_mark_on_a_rung(asha: ASHAScheduler) -> None:
    decide(asha, "a", 1, 0.5)
    failed: Any = Trial("failed")
    asha.on_trial_add(None, failed)
    asha.on_trial_complete(None, failed, {"failure": "diverged", "val_accuracy": math.nan, "done": True})
    assert not any(math.isnan(value) for _, rung in asha._brackets[0]._rungs for value in rung.values())


def test_the_last_epoch_ends_a_trial(asha: ASHAScheduler) -> None:
    assert decide(asha, "a", 1, 0.5) == TrialScheduler.CONTINUE
    assert decide(asha, "a", 9, 0.5) == TrialScheduler.STOP


def test_none_stops_nothing() -> None:
    assert not isinstance(create_scheduler(StudyConfig(scheduler="none")), ASHAScheduler)


def test_epochs_that_were_lost_with_the_driver_come_with_the_next_result(
    asha: ASHAScheduler,
) -> None:
    for number, accuracy in enumerate([0.9, 0.8, 0.7]):
        decide(asha, str(number), 1, accuracy)
    late: Any = Trial("3")
    asha.on_trial_add(None, late)
    result = {"epoch": 2, "val_accuracy": 0.95, "before": [{"epoch": 1, "val_accuracy": 0.1}]}
    assert asha.on_trial_result(None, late, result) == TrialScheduler.STOP
    (_, rung) = asha._brackets[0]._rungs[-1]
    assert sorted(rung.values()) == [0.1, 0.7, 0.8, 0.9]
