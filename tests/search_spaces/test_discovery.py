"""Spaces that only building can tell."""

from collections.abc import Callable
from typing import Any

import keras
import keras_tuner
import pytest

from search_spaces import discovery
from search_spaces.discovery import discovered
from search_spaces.task import Task
from tests.search_spaces.kerastuner_users import DropoutCNN, build_model

TASK = Task(image_size=16, classes=10, training_images=100, max_epochs=3)
Space = dict[str, list[str]]


class OneFunction(keras_tuner.HyperModel):
    """A space of one function that registers, with an empty model."""

    def __init__(self, register: Callable[[Any], object]) -> None:
        super().__init__()
        self.register = register
        self.builds = 0

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        self.builds += 1
        self.register(hp)
        return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])


def found(space: keras_tuner.HyperModel) -> Space:
    """Names with their conditions, in order."""
    return {
        one.name: [str(condition) for condition in one.conditions] for one in discovered(space, TASK).hyperparameters
    }


def scoped(hp: Any) -> None:
    """Registers what belongs to a branch only when it is taken, as KerasTuner's guide shows."""
    kind = hp.Choice("kind", ["cnn", "mlp", "linear"])
    with hp.conditional_scope("kind", ["cnn"]):
        if kind == "cnn":
            depth = hp.Int("depth", 1, 3)
            with hp.conditional_scope("depth", [2, 3]):
                if depth > 1:
                    hp.Boolean("skip")
    with hp.conditional_scope("kind", ["mlp"]):
        if kind == "mlp":
            hp.Int("units", 8, 64)
    hp.Float("lr", 1e-4, 1e-1, sampling="log")


def looped(hp: Any) -> None:
    for number in range(hp.Int("layers", 1, 3)):
        hp.Int(f"units_{number}", 8, 64, step=8)


def negative(hp: Any) -> None:
    if not hp.Boolean("plain"):
        hp.Choice("decoration", ["a", "b"])


def branching_off(hp: Any) -> None:
    """`units` is asked for in every branch but one that has a hyperparameter of its own."""
    if hp.Choice("kind", ["mlp", "cnn"]) == "cnn" and hp.Boolean("wide"):
        return
    hp.Int("units", 8, 512)


def elsewhere(hp: Any) -> None:
    """`flag` is tried where `units` is not asked for: that says nothing of the two."""
    kind = hp.Choice("kind", ["cnn", "mlp"])
    hp.Boolean("flag")
    if kind == "mlp":
        hp.Int("units", 8, 512)


def nested(hp: Any) -> None:
    if hp.Choice("kind", ["a", "b"]) == "b" and hp.Int("depth", 1, 3) > 2:
        hp.Boolean("skip")


def either(hp: Any) -> None:
    if hp.Boolean("first") or hp.Boolean("second"):
        hp.Float("shared", 0.0, 1.0)


def never(hp: Any) -> None:
    hp.Choice("kind", ["a", "b"])
    with hp.conditional_scope("kind", ["c"]):
        hp.Int("never", 0, 1)


@pytest.mark.parametrize(
    ("register", "expected"),
    [
        (
            scoped,
            {"kind": [], "depth": ["kind = cnn"], "lr": [], "units": ["kind = mlp"],
             "skip": ["kind = cnn", "depth = 2|3"]},
        ),
        (looped, {"layers": [], "units_0": [], "units_1": ["layers = 2|3"], "units_2": ["layers = 3"]}),
        (branching_off, {"kind": [], "units": [], "wide": ["kind = cnn"]}),
        (elsewhere, {"kind": [], "flag": [], "units": ["kind = mlp"]}),
        (negative, {"plain": [], "decoration": ["plain = False"]}),
        (nested, {"kind": [], "depth": ["kind = b"], "skip": ["depth = 3"]}),
        (either, {"first": [], "second": ["first = False"], "shared": []}),
        (never, {"kind": [], "never": ["kind = c"]}),
    ],
)  # fmt: skip
def test_what_depends_on_what_is_found(register: Callable[[Any], object], expected: Space) -> None:
    assert found(OneFunction(register)) == expected


def test_models_as_kerastuners_users_write_them() -> None:
    assert found(DropoutCNN()) == {
        "model_type": [],
        "shrink": ["model_type = mlp"],
        "dropout": [],
        "lr": [],
        "batch_size": [],  # asked for in fit
        "shuffle": [],
        "conv_blocks": ["model_type = cnn"],
        "filters_0": ["model_type = cnn"],
        "filters_1": ["model_type = cnn", "conv_blocks = 2"],
    }
    assert list(found(OneFunction(build_model))) == ["num_layers", "units_0", "lr", "units_1", "units_2"]


def test_a_branch_that_cannot_be_built_does_not_hide_the_others() -> None:
    def moody(hp: Any) -> None:
        mood = hp.Choice("mood", ["good", "bad", "rich"])
        if mood == "bad":
            raise ValueError("no such layer")
        if mood == "rich":
            hp.Int("layers", 1, 2)
        hp.Float("lr", 0.1, 0.2)

    assert found(OneFunction(moody)) == {"mood": [], "lr": [], "layers": ["mood = bad|rich"]}


def test_a_space_that_can_never_be_built_says_why() -> None:
    def broken(hp: Any) -> None:
        hp.Choice("kind", ["a", "b"])
        raise ValueError("no such layer")

    with pytest.raises(ValueError, match="no such layer"):
        discovered(OneFunction(broken), TASK)


def test_looking_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "MOST_BUILDS", 40)

    def endless(hp: Any) -> None:
        for number in range(1000):
            if not hp.Boolean(f"more_{number}"):
                return

    space = OneFunction(endless)
    found, is_whole, *_ = discovered(space, TASK)
    assert len(found) > 10
    assert not is_whole
    assert space.builds == 40
    assert discovered(OneFunction(looped), TASK).is_whole


def test_the_depth_of_kerastuners_own_example() -> None:
    """Its README: 2 to 20 layers, each with a width of its own."""

    def deep(hp: Any) -> None:
        for number in range(hp.Int("num_layers", 2, 20)):
            hp.Int(f"units_{number}", 32, 512, step=32)

    conditions = found(OneFunction(deep))
    assert len(conditions) == 21
    assert conditions["units_1"] == []
    assert conditions["units_10"] == ["num_layers = 11..20"]


def test_what_is_declared_for_kerastuner_is_known() -> None:
    class Declaring(OneFunction):
        def declare_hyperparameters(self, hp: Any) -> None:
            hp.Int("units", 1, 3)

    assert found(Declaring(lambda hp: hp.get("units"))) == {"units": []}


def test_a_long_range_is_tried_at_its_ends() -> None:
    space = OneFunction(lambda hp: hp.Int("units", 1, 1000))
    assert found(space) == {"units": []}
    assert space.builds == 2  # its default is its lower end
