"""What is not begun any more when the time runs out."""

import random

import pytest

from search_spaces.configuration import Configuration
from search_spaces.hyperparameter import Choices, Condition, Hyperparameter, Range
from tuner.proposal.deadline import Deadline

SPACE = (
    Hyperparameter("net", Choices(("small", "large")), "small"),
    Hyperparameter("thawed", Range(0, 20, None, "linear", whole=True), 0, (Condition("net", ("large",)),)),
    Hyperparameter("thawed", Range(0, 4, None, "linear", whole=True), 0, (Condition("net", ("small",)),)),
    Hyperparameter("rate", Range(1e-4, 1e-1, None, "log"), 1e-2),
)


def seconds(configuration: Configuration) -> float:
    return 2.0 if configuration["net"] == "small" else 10.0 * 1.1 ** float(configuration["thawed"])


@pytest.fixture
def known() -> tuple[Deadline, list[float]]:
    """One that ends at 1050 s and has seen 60 trials; and its clock."""
    now = [50.0]
    deadline = Deadline(SPACE, first_rung=2, seconds=1050, workers=2, clock=lambda: now[0])
    rng = random.Random(0)
    for number in range(62):
        net = rng.choice(["small", "large"])
        configuration: Configuration = {
            "net": net, "thawed": rng.randrange(5 if net == "small" else 21), "rate": 10 ** rng.uniform(-4, -1)
        }  # fmt: skip
        deadline.observe(configuration, 1, 0.1)  # an epoch that is no rung
        deadline.observe(configuration, 2, 500.0 if number < 2 else seconds(configuration))
    return deadline, now


@pytest.mark.parametrize(
    ("left", "allowed"), [(900, "small large deep"), (30, "small large"), (5, "small"), (0.5, ""), (-1, "")]
)
def test_what_takes_too_long_is_not_begun(known: tuple[Deadline, list[float]], left: float, allowed: str) -> None:
    deadline, now = known
    now[0] = 1050 - left
    cases: dict[str, Configuration] = {
        "small": {"net": "small", "thawed": 2, "rate": 1e-2},
        "large": {"net": "large", "thawed": 2, "rate": 1e-2},  # 12 s
        "deep": {"net": "large", "thawed": 20, "rate": 1e-2},  # 67 s
    }
    assert " ".join(name for name, one in cases.items() if deadline.has_time_for(one)) == allowed


def test_without_a_limit_all_is_allowed() -> None:
    deadline = Deadline(SPACE, 1, None, 1, clock=lambda: 0.0)
    for _ in range(20):
        deadline.observe({"net": "small", "thawed": 1, "rate": 1e-2}, 1, 1e9)
    assert deadline.allows({"net": "small", "thawed": 1, "rate": 1e-2})


ONE: Configuration = {"net": "small", "thawed": 1, "rate": 1e-2}


def test_the_first_trials_are_begun_whatever_they_take() -> None:
    assert Deadline(SPACE, 1, 0.001, 1, clock=lambda: 0.0).allows(ONE)


def test_until_much_is_known_the_fastest_speaks_for_all() -> None:
    now = [0.0]
    deadline = Deadline(SPACE, 1, 100, workers=1, clock=lambda: now[0])
    for took in (90.0, 24.0, 30.0):  # the first one started the worker
        deadline.observe(ONE, 1, took)
    now[0] = 75
    assert deadline.allows(ONE)
    now[0] = 77
    assert not deadline.allows(ONE)
    now[0] = 101
    assert not Deadline(SPACE, 1, -1, workers=1, clock=lambda: 0.0).allows(ONE)


def test_what_ends_by_itself_before_its_first_rung_is_known_too() -> None:
    now = [0.0]
    deadline = Deadline(SPACE, 20, 1000, workers=0, clock=lambda: now[0])
    for _ in range(10):
        deadline.observe(ONE, 8, 120.0)
        deadline.observe(ONE, 8, 120.0, has_ended=True)
    now[0] = 870
    assert deadline.allows(ONE)
    now[0] = 890
    assert not deadline.allows(ONE)


def test_what_takes_most_of_the_time_left_is_not_worth_it_unless_all_do() -> None:
    now = [0.0]
    deadline = Deadline(SPACE, 1, 400, workers=0, clock=lambda: now[0])
    assert deadline.most == 100
    deadline.observe(ONE, 1, 10.0)
    assert deadline.most == 100
    now[0] = 380
    assert deadline.most == 20  # twice the fastest: no time is left over
    now[0] = 385
    assert deadline.most == 15
    slow = Deadline(SPACE, 1, 400, workers=0, clock=lambda: 0.0)
    slow.observe(ONE, 1, 150.0)
    assert slow.most == 300


@pytest.mark.parametrize(
    ("left", "is_worth_it", "is_possible"), [(300, True, True), (200, False, True), (60, False, False)]
)
def test_a_configuration_that_was_asked_for_may_take_all_of_the_time_left(
    known: tuple[Deadline, list[float]], left: float, is_worth_it: bool, is_possible: bool
) -> None:
    deadline, now = known
    now[0] = 1050 - left
    deep: Configuration = {"net": "large", "thawed": 20, "rate": 1e-2}  # 67 s
    assert (deadline.allows(deep), deadline.has_time_for(deep)) == (is_worth_it, is_possible)


def test_what_was_skipped_teaches_what_takes_long() -> None:
    deadline = Deadline(SPACE, 1, 1000, workers=2, clock=lambda: 0.0)
    for thawed in range(6):
        deadline.observe_skipped({"net": "large", "thawed": 10 + thawed, "rate": 1e-2}, 400.0)
        deadline.observe({"net": "small", "thawed": thawed % 4, "rate": 1e-2}, 1, 20.0)
    assert not deadline.allows({"net": "large", "thawed": 12, "rate": 1e-3})
    assert deadline.allows({"net": "small", "thawed": 1, "rate": 1e-3})
    assert deadline.fastest == {"net": "small", "thawed": 2, "rate": 1e-2}  # the first two started their workers


def test_known_work_tells_before_any_such_configuration_has_trained() -> None:
    deadline = Deadline(SPACE, 1, 400, 0, lambda: 0.0, lambda one: 30.0 if one["net"] == "large" else 1.0)
    large: Configuration = {"net": "large", "thawed": 12, "rate": 1e-3}
    assert deadline.is_unsure
    assert deadline.allows(large)  # nothing is known of seconds
    deadline.observe(ONE, 1, 10.0)
    assert not deadline.allows(large)
    assert deadline.allows(ONE | {"rate": 1e-4})
    for rate in (1e-4, 1e-3, 1e-2, 1e-1):
        deadline.observe(ONE | {"rate": rate}, 1, 10.0)
    assert not deadline.is_unsure
    assert not deadline.allows(large)


def test_without_a_budget_nothing_is_left_to_know() -> None:
    deadline = Deadline(SPACE, 1, None, 1, clock=lambda: 0.0)
    assert (deadline.left, deadline.most, deadline.is_unsure) == (None, None, False)
