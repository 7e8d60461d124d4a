"""Every KerasTuner hyperparameter, and nested conditions, as Optuna's define-by-run space."""

from collections.abc import Callable
from typing import Any

import keras_tuner
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState

from search_spaces.configuration import complete
from search_spaces.custom_cnn import CustomCNN
from search_spaces.declaration import declared, read
from search_spaces.finetune import FineTune
from search_spaces.hyperparameter import Hyperparameter, Range
from search_spaces.task import Task
from tests.strategies import configurations
from tuner.proposal.suggestion import Suggestions

TASK = Task(image_size=32, classes=10, training_images=1000, max_epochs=5)
SPACES = {
    "custom_cnn": declared(CustomCNN(TASK)),
    "finetune": declared(FineTune(TASK, dict.fromkeys(("mobilenet", "mobilenet_v2", "resnet50", "vgg16")))),
}


def drawn(declare: Callable[[keras_tuner.HyperParameters], object], count: int = 60) -> tuple[list[Any], optuna.Study]:
    """Configurations of a space drawn at random, and the study that drew them."""
    hp = keras_tuner.HyperParameters()
    declare(hp)
    suggestions = Suggestions(read(hp))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    found = []
    for _ in range(count):
        trial = study.ask()
        found.append(suggestions.suggest(trial))
        study.tell(trial, 0.0)
        assert complete(read(hp), found[-1]) == pytest.approx(found[-1])
    return found, study


@pytest.mark.parametrize(
    ("declare", "values"),
    [
        (lambda hp: hp.Int("x", 3, 7), {3, 4, 5, 6, 7}),
        (lambda hp: hp.Int("x", 2, 9, step=3), {2, 5, 8}),
        (lambda hp: hp.Int("x", 2, 32, step=2, sampling="log"), {2, 4, 8, 16, 32}),
        (lambda hp: hp.Float("x", 0.0, 0.5, step=0.2), {0.0, 0.2, 0.4}),
        (lambda hp: hp.Float("x", 0.01, 1.0, step=10, sampling="log"), {0.01, 0.1, 1.0}),
        (lambda hp: hp.Int("x", 1, 8, step=2, sampling="reverse_log"), {1, 5, 7, 8}),
        (lambda hp: hp.Choice("x", ["a", "b"]), {"a", "b"}),
        (lambda hp: hp.Choice("x", [16, 64, 32]), {16, 32, 64}),
        (lambda hp: hp.Choice("x", [0.5, 1.5]), {0.5, 1.5}),
        (lambda hp: hp.Boolean("x"), {False, True}),
        (lambda hp: hp.Fixed("x", "always"), {"always"}),
        (lambda hp: hp.Fixed("x", 3), {3}),
    ],
)
def test_finite_hyperparameters_give_exactly_their_values(declare: Callable[[Any], object], values: set[Any]) -> None:
    found, _ = drawn(declare)
    assert {round(one["x"], 10) if isinstance(one["x"], float) else one["x"] for one in found} == values


@pytest.mark.parametrize(
    ("declare", "low", "high", "expected_median"),
    [
        (lambda hp: hp.Float("x", 1.0, 100.0), 1, 100, 50),
        (lambda hp: hp.Float("x", 1.0, 100.0, sampling="log"), 1, 100, 10),
        (lambda hp: hp.Float("x", 1.0, 100.0, sampling="reverse_log"), 1, 100, 91),
        (lambda hp: hp.Int("x", 1, 1000, sampling="log"), 1, 1000, 32),
        (lambda hp: hp.Int("x", 1, 1000, sampling="reverse_log"), 1, 1000, 969),
    ],
)
def test_ranges_are_sampled_where_their_scale_says(
    declare: Callable[[Any], object], low: float, high: float, expected_median: float
) -> None:
    values = sorted(one["x"] for one in drawn(declare, count=400)[0])
    assert low <= values[0]
    assert values[-1] <= high
    assert values[200] == pytest.approx(expected_median, rel=0.35)


def nested(hp: keras_tuner.HyperParameters) -> None:
    hp.Choice("net", ["cnn", "mlp"])
    with hp.conditional_scope("net", ["cnn"]):
        hp.Int("depth", 1, 3)
        with hp.conditional_scope("depth", [2, 3]):
            hp.Boolean("skip")
    with hp.conditional_scope("net", ["mlp"]):
        hp.Int("depth", 10, 12)
    hp.Float("rate", 0.1, 0.2)


def test_conditions_nest_and_a_name_may_differ_by_branch() -> None:
    found, study = drawn(nested)
    for one in found:
        assert one["depth"] in ((1, 2, 3) if one["net"] == "cnn" else (10, 11, 12))
        assert ("skip" in one) == (one["net"] == "cnn" and one["depth"] > 1)
    names = {name for trial in study.trials for name in trial.params}
    assert names == {"net", "depth[net=cnn]", "skip", "depth[net=mlp]", "rate"}


@pytest.mark.parametrize("name", SPACES)
def test_our_spaces_are_drawn_whole(name: str) -> None:
    suggestions = Suggestions(SPACES[name])
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(100):
        configuration = suggestions.suggest(study.ask())
        assert complete(SPACES[name], configuration) == pytest.approx(configuration)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(sorted(SPACES)))
def test_a_configuration_becomes_a_trial_and_is_read_back_as_it_is(data: st.DataObject, name: str) -> None:
    """Ours to Optuna's parameters, into a storage, and back."""
    configuration = complete(SPACES[name], data.draw(configurations(SPACES[name])))
    suggestions = Suggestions(SPACES[name])
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.add_trial(suggestions.trial(configuration))
    assert suggestions.of(study.trials[0]) == pytest.approx(configuration)
    assert study.trials[0].state is TrialState.RUNNING


def test_what_is_not_drawn_keeps_its_default_unless_it_is_given() -> None:
    suggestions = Suggestions(SPACES["custom_cnn"])
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.add_trial(suggestions.trial(complete(SPACES["custom_cnn"], {"early_stopping": 5})))
    assert suggestions.of(study.trials[0])["early_stopping"] == 5
    assert {suggestions.suggest(study.ask())["early_stopping"] for _ in range(20)} == {0}


@pytest.mark.parametrize(("low", "high"), [(0.1, 0.9), (1e-4, 1e-2), (0.05, 0.3), (1e-4, 0.1)])
def test_the_ends_of_a_reverse_log_range_stay_inside(low: float, high: float) -> None:
    space = (Hyperparameter("x", Range(low, high, None, "reverse_log"), low),)
    suggestions = Suggestions(space)
    for value in (low, high):
        found = suggestions.of(suggestions.trial({"x": value}))["x"]
        assert low <= float(found) <= high
        assert found == pytest.approx(value)
