"""Configurations are completed and checked against a declared space."""

from typing import Any

import keras_tuner
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.configuration import complete, differing, fixed, in_short
from search_spaces.custom_cnn import CustomCNN
from search_spaces.declaration import declared, read
from search_spaces.errors import UserError
from search_spaces.task import Task
from tests.strategies import configurations


@pytest.fixture
def space() -> list[Any]:
    hp = keras_tuner.HyperParameters()
    hp.Choice("net", ["small", "large"])
    with hp.conditional_scope("net", ["large"]):
        hp.Int("depth", 2, 8, step=2, default=4)
        with hp.conditional_scope("depth", [6, 8]):
            hp.Boolean("skip")
    hp.Float("rate", 0.0, 0.6, step=0.05)
    hp.Float("lr", 1e-4, 1e-1, sampling="log", default=1e-3)
    hp.Choice("decay", [0.0, 1e-3])
    return read(hp)


def test_what_is_left_out_takes_its_default(space: list[Any]) -> None:
    assert complete(space, {}) == {"net": "small", "rate": 0.0, "lr": 1e-3, "decay": 0.0}
    assert complete(space, {"net": "large"}) == {"net": "large", "depth": 4, "rate": 0.0, "lr": 1e-3, "decay": 0.0}


def test_conditions_nest(space: list[Any]) -> None:
    assert complete(space, {"net": "large", "depth": 8})["skip"] is False


def test_whole_numbers_stand_for_floats(space: list[Any]) -> None:
    values = complete(space, {"decay": 0, "rate": 0})
    assert isinstance(values["decay"], float)
    assert isinstance(values["rate"], float)


@pytest.mark.parametrize(
    ("partial", "message"),
    [
        ({"layers": 3}, "unknown hyperparameter 'layers'; this space has decay, depth, lr, net, rate, skip"),
        ({"net": "huge"}, "'net' is 'huge' but must be one of 'small', 'large'"),
        ({"net": "large", "depth": 5}, "'depth' is 5 but must be a whole number from 2 to 8 in steps of 2"),
        ({"net": "large", "depth": True}, "'depth' is True but must be"),
        ({"lr": 1.0}, "'lr' is 1.0 but must be a number from 0.0001 to 0.1"),
        ({"lr": "fast"}, "'lr' is 'fast' but must be"),
        ({"lr": float("nan")}, "'lr' is nan but must be"),
        ({"rate": 0.07}, "'rate' is 0.07 but must be a number from 0.0 to 0.6 in steps of 0.05"),
        ({"decay": False}, "'decay' is False but must be one of 0.0, 0.001"),
        ({"depth": 4}, "'depth' has no effect here: it needs net = large"),
        ({"net": "large", "skip": True}, r"'skip' has no effect here: it needs net = large and depth = 6\|8"),
    ],
)
def test_what_does_not_fit_is_named_with_the_rule(space: list[Any], partial: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        complete(space, partial)


def test_every_step_of_a_float_is_allowed(space: list[Any]) -> None:
    for step in range(13):
        assert complete(space, {"rate": step * 0.05})["rate"] == pytest.approx(step * 0.05)


def test_only_what_differs_from_the_defaults_is_shown(space: list[Any]) -> None:
    assert differing(complete(space, {}), space) == {}
    assert in_short(complete(space, {}), space) == "the default configuration"
    changed = complete(space, {"net": "large", "depth": 8, "lr": 0.05})
    assert differing(changed, space) == {"net": "large", "depth": 8, "lr": 0.05}
    assert in_short(changed, space) == "net=large depth=8 lr=0.05"


def test_a_default_is_that_of_the_branch_which_is_active() -> None:
    hp = keras_tuner.HyperParameters()
    hp.Choice("optimizer", ["adam", "sgd"])
    with hp.conditional_scope("optimizer", ["adam"]):
        hp.Float("lr", 1e-5, 1.0, sampling="log", default=1e-3)
    with hp.conditional_scope("optimizer", ["sgd"]):
        hp.Float("lr", 1e-5, 1.0, sampling="log", default=1e-1)
    branches = read(hp)
    assert differing({"optimizer": "sgd", "lr": 0.1}, branches) == {"optimizer": "sgd"}
    assert differing({"optimizer": "adam", "lr": 0.1}, branches) == {"lr": 0.1}


def test_what_a_user_has_fixed_is_the_default(space: list[Any]) -> None:
    searched = fixed(space, {"rate": 0.3})
    assert differing(complete(searched, {}), searched) == {}


def test_where_no_defaults_are_recorded_all_is_shown(space: list[Any]) -> None:
    assert differing(complete(space, {}), ()) == complete(space, {})


LARGE = declared(CustomCNN(Task(32, 10, 1000, 20)))


@given(st.data())
def test_what_differs_completes_to_the_configuration(data: st.DataObject) -> None:
    one = data.draw(configurations(LARGE))
    assert complete(LARGE, differing(one, LARGE)) == pytest.approx(complete(LARGE, one))
