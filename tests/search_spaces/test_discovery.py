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


def test_what_two_scopes_open_together_is_found() -> None:
    """As KerasTuner's own tuner does: the defaults leave both scopes shut, and neither value alone opens them."""

    def two(hp: Any) -> None:
        deep = hp.Boolean("deep")
        with hp.conditional_scope("deep", [True]):
            wide = hp.Boolean("wide")
            with hp.conditional_scope("wide", [True]):
                if deep and wide:
                    hp.Int("units", 8, 64)

    conditions = {"deep": [], "wide": ["deep = True"], "units": ["deep = True", "wide = True"]}
    assert found(OneFunction(two)) == conditions


class NeedsTwo(keras_tuner.HyperModel):
    """Asks for `units` under two values at once, and says so nowhere but in its source."""

    def build(self, hp: Any) -> keras.Model:
        kind, wide, blocks = hp.Choice("kind", ["cnn", "mlp"]), hp.Boolean("wide"), hp.Int("blocks", 1, 3)
        if kind == "mlp" and wide:
            hp.Int("units", 8, 64)
        if wide and blocks == 3:
            hp.Float("dropout", 0, 0.5)
        return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])


class FitAsksMore(NeedsTwo):
    """Its `fit` asks for `strength` under a value of its own."""

    def fit(self, hp: Any, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        if hp.Boolean("augment"):
            hp.Float("strength", 0, 1)
        return model.fit(*args, **kwargs)


def test_what_the_source_names_is_looked_for_with_two_values_at_once() -> None:
    assert found(NeedsTwo()) == {
        "kind": [],
        "wide": [],
        "blocks": [],
        "units": ["kind = mlp", "wide = True"],
        "dropout": ["wide = True", "blocks = 3"],
    }


def test_what_fit_asks_for_under_a_value_of_its_own_is_found() -> None:
    assert found(FitAsksMore())["strength"] == ["augment = True"]


def test_what_the_source_names_and_nothing_asks_for_is_named() -> None:
    class Three(keras_tuner.HyperModel):
        def build(self, hp: Any) -> keras.Model:
            if [hp.Boolean("a"), hp.Boolean("b"), hp.Boolean("c")] == [True] * 3:
                hp.Int("hidden", 1, 3)
                hp.Int(f"like_{hp.get('a')}", 1, 3)
            return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])

    assert discovered(Three(), TASK).lacking == ("hidden", "like_*")


def test_one_name_under_two_scopes_that_the_default_leaves_shut() -> None:
    def twice(hp: Any) -> None:
        kind = hp.Choice("kind", ["none", "cnn", "mlp"])
        with hp.conditional_scope("kind", ["cnn"]):
            if kind == "cnn":
                hp.Int("units", 1, 8)
        with hp.conditional_scope("kind", ["mlp"]):
            if kind == "mlp" and hp.Int("units", 16, 17) == 17:
                hp.Boolean("extra")

    space = [(one.name, str(one.allowed), [str(condition) for condition in one.conditions])
             for one in discovered(OneFunction(twice), TASK).hyperparameters]  # fmt: skip
    assert ("units", "a whole number from 1 to 8", ["kind = cnn"]) in space
    assert ("units", "a whole number from 16 to 17", ["kind = mlp"]) in space
    assert any(name == "extra" and conditions[0] == "kind = mlp" for name, _, conditions in space)


def test_a_range_that_depends_on_another_value_is_searched_under_each() -> None:
    def depending(hp: Any) -> None:
        kind = hp.Choice("kind", ["small", "large", "huge"])
        hp.Int("units", 8, 64 if kind == "small" else 512)
        hp.Float("lr", 0.1, 0.2)

    found = discovered(OneFunction(depending), TASK)
    assert [(one.name, str(one.allowed), [str(condition) for condition in one.conditions])
            for one in found.hyperparameters if one.name == "units"] == [
        ("units", "a whole number from 8 to 64", ["kind = small"]),
        ("units", "a whole number from 8 to 512", ["kind = large|huge"]),
    ]  # fmt: skip
    assert found.varying == ()


def test_a_range_that_depends_on_what_is_not_discrete_is_named() -> None:
    def depending(hp: Any) -> None:
        width = hp.Int("width", 8, 4096)
        hp.Int("units", 8, width + 8)

    assert discovered(OneFunction(depending), TASK).varying == ("units",)
