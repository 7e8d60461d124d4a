"""What the figures show, read from the drawing's data and from the drawings themselves."""

import numpy as np
import pandas as pd
import pytest

from results.figures import epochs_over_time, learning_curves, svg
from results.hyperparameter_figures import against_accuracy, in_strips, on_log_axis
from results.importance import importances
from results.leaderboard import leaderboard
from results.records import TrialState
from tests.results.written_run import HYPERPARAMETERS, a_trial, many_trials


def test_best_so_far_follows_time_and_not_trial_numbers() -> None:
    late_but_first = a_trial(1, [0.5, 0.8])
    early = a_trial(0, [0.6, 0.2])
    epochs = epochs_over_time([late_but_first, early])
    assert epochs["seconds"].tolist() == [1.0, 2.0, 11.0, 12.0]
    assert epochs["best"].tolist() == [0.6, 0.6, 0.6, 0.8]


def test_every_trial_with_an_epoch_has_a_curve() -> None:
    trials = [a_trial(0, [0.5, 0.8]), a_trial(1, [0.2], TrialState.FAILED, "diverged"), a_trial(2)]
    [axes] = learning_curves(trials, best=0, rungs=()).axes
    drawn = [list(line.get_ydata()) for line in axes.lines if len(line.get_xdata()) > 1 or line.get_marker() == "x"]
    assert drawn == [[0.5, 0.8], [0.2]]


def test_a_hyperparameter_with_one_value_has_no_figure_and_inactive_trials_no_point() -> None:
    figures = against_accuracy(leaderboard(many_trials(12), HYPERPARAMETERS))
    assert list(figures) == ["optimizer", "learning_rate", "momentum"]
    points = {name: len(figure.axes[0].collections[0].get_offsets()) for name, figure in figures.items()}
    assert points == {"optimizer": 12, "learning_rate": 12, "momentum": 6}


@pytest.mark.parametrize(
    ("values", "log"),
    [([1e-4, 1e-2, 3e-3], True), ([0.1, 0.2, 0.5], False), ([0.0, 1e-4, 1e-2], False), ([-1.0, 1.0, 90.0], False)],
)
def test_log_axis_for_positive_values_that_span_much(values: list[float], log: bool) -> None:
    assert on_log_axis(pd.Series(values)) is log


@pytest.mark.parametrize(
    ("values", "strips"),
    [
        (["adam", "sgd"], True),
        ([True, False], True),
        ([16, 32, 64, 16, 32, 64], True),
        ([0.0, 1e-5, 1e-2], True),
        ([0.1, 0.2, 0.3, 0.4], False),
        ([0.0, 0.1, 0.2], False),
    ],
)
def test_words_switches_and_few_numbers_stand_in_strips(values: list, strips: bool) -> None:
    assert in_strips(pd.Series(values).convert_dtypes()) is strips


def test_points_of_one_strip_stay_nearest_to_its_label() -> None:
    [axes] = against_accuracy(leaderboard(many_trials(12), HYPERPARAMETERS))["optimizer"].axes
    labels = [label.get_text() for label in axes.get_xticklabels()]
    points = np.asarray(axes.collections[0].get_offsets())
    assert {(labels[round(place)], accuracy > 0.5) for place, accuracy in points} == {("adam", False), ("sgd", True)}


def test_the_hyperparameter_that_decides_is_the_most_important() -> None:
    trials = many_trials(16)
    shares = importances(leaderboard(trials, ("units", "learning_rate", "optimizer")))
    assert shares is not None
    assert shares.index[0] == "optimizer"
    assert shares["optimizer"] > 0.8
    assert shares.sum() == pytest.approx(1.0)
    assert "units" not in shares  # it never varied


def test_being_inactive_is_a_value_that_can_matter() -> None:
    trials = [
        a_trial(each, [0.9 if each % 2 else 0.1], **({"momentum": 0.5} if each % 2 else {"units": 64 + each}))
        for each in range(12)
    ]
    shares = importances(leaderboard(trials, ("momentum",)))
    assert shares is not None
    assert shares.to_dict() == {"momentum": 1.0}


@pytest.mark.parametrize(
    "trials",
    [many_trials(7), [a_trial(each, [0.5], units=each) for each in range(10)], [a_trial(each) for each in range(9)]],
    ids=["seven trials", "one accuracy", "no epochs"],
)
def test_no_importances_where_they_would_be_noise(trials: list) -> None:
    assert importances(leaderboard(trials, HYPERPARAMETERS)) is None


def test_names_are_drawn_as_they_are() -> None:
    trials = [a_trial(each, [each / 10], optimizer=("$a_b$ <i>", "sgd")[each]) for each in range(2)]
    [figure] = against_accuracy(leaderboard(trials, ("optimizer",))).values()
    assert "$a_b$ &lt;i&gt;" in svg(figure, "panel")


def test_the_same_run_is_drawn_the_same_way() -> None:
    once, again = (svg(learning_curves(many_trials(), best=1, rungs=(1,)), "curves") for _ in range(2))
    assert once == again
