"""When a trial is ended because it would not reach its first rung."""

from collections.abc import Callable
from typing import Any

import pytest

from tuner.trial.errors import TooLong
from tuner.trial.pace import Pace


class Clock:
    """Time stands still unless somebody waits."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def train(pace: Pace, clock: Clock, first: float, step: Callable[[int], float], epochs: int = 1) -> int:
    """Epochs of 100 steps: the number of steps until the end."""
    pace.set_params({"steps": 100, "epochs": epochs})
    for epoch in range(epochs):
        for batch in range(100):
            clock.now += first if batch == 0 else step(batch)
            try:
                pace.on_train_batch_end(batch)
            except TooLong:
                return epoch * 100 + batch + 1
        clock.now += 2.0  # validation
        pace.on_epoch_end(epoch)
    return epochs * 100


def pace(clock: Clock, left: float, most: float = 1e9, epochs: int = 1) -> Pace:
    return Pace(epochs, 0.1, began=clock.now, end=clock.now + left, most=most, clock=clock)


@pytest.mark.parametrize(
    ("left", "most", "epochs", "steps"),
    [
        (200, 1e9, 1, 100),  # 100 steps of 1 s, tracing and validation
        (90, 1e9, 1, 4),
        (1e9, 90, 1, 4),
        (1e9, 120, 1, 100),
        (200, 1e9, 2, 4),  # it is compared after two epochs
        (300, 1e9, 2, 200),
    ],
)
def test_a_trial_that_would_not_reach_its_first_rung_ends_after_some_steps(
    left: float, most: float, epochs: int, steps: int
) -> None:
    clock = Clock()
    assert train(pace(clock, left, most, epochs), clock, 8.0, lambda batch: 1.0, epochs) == steps


def test_how_long_it_would_take_is_told_from_its_beginning_on() -> None:
    clock = Clock()
    one = pace(clock, left=30)
    clock.now += 10  # it was built
    one.set_params({"steps": 100})
    with pytest.raises(TooLong) as slow:
        for batch in range(100):
            clock.now += 5.0 if batch == 0 else 1.0
            one.on_train_batch_end(batch)
    assert slow.value.seconds == pytest.approx(10 + 5 + 99 + 10)


def test_tracing_is_no_step() -> None:
    clock = Clock()
    assert train(pace(clock, left=80), clock, 40.0, lambda batch: 0.3) == 100


def test_steps_that_grow_slower_end_a_trial_later() -> None:
    clock = Clock()
    assert 10 < train(pace(clock, left=60), clock, 1.0, lambda batch: 0.2 if batch < 10 else 2.0) < 20


def test_beyond_its_first_rung_a_trial_goes_on() -> None:
    clock = Clock()
    assert train(pace(clock, left=200), clock, 1.0, lambda batch: 1.0, epochs=3) == 300


def test_a_fit_that_knows_no_number_of_steps_goes_on() -> None:
    clock = Clock()
    one = pace(clock, left=1)
    one.set_params({"steps": None})
    for batch in range(20):
        clock.now += 1.0
        one.on_train_batch_end(batch)


@pytest.mark.parametrize(("left", "ended"), [(60, 2), (300, None)])
def test_features_that_take_too_long_end_a_trial_before_its_first_step(left: float, ended: Any) -> None:
    clock = Clock()
    one = pace(clock, left)
    calls = 0
    try:
        for chunk in range(10):
            one.on_features(chunk / 10)
            calls += 1
            clock.now += 20.0
    except TooLong:
        assert calls == ended
    else:
        assert ended is None


def test_what_has_been_spent_on_features_is_spent() -> None:
    clock = Clock()
    one = pace(clock, left=300, most=40)
    one.on_features(0.0)
    clock.now += 60
    one.on_features(0.5)
    clock.now += 30
    one.on_features(0.9)  # 8 s to go
    assert train(one, clock, 1.0, lambda batch: 0.3) == 100
