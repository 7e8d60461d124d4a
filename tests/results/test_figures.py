"""What the figures show, read from the drawing's data and from the drawings themselves."""

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axis import Axis

from results.figures import epochs_over_time, learning_curves, progress, svg, timeline
from results.hyperparameter_figures import against_accuracy, in_strips, on_log_axis, short
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
    trials = [a_trial(each, [each / 10], optimizer=("$a_b$ <i>", "sgd")[each % 2]) for each in range(4)]
    [figure] = against_accuracy(leaderboard(trials, ("optimizer",))).values()
    assert "$a_b$ &lt;i&gt;" in svg(figure, "panel")


def labels_of(axis: Axis) -> list[str]:
    return [label.get_text() for label in axis.get_ticklabels() if label.get_visible()]


@given(st.lists(st.floats(1e-6, 1e7), min_size=8, max_size=20), st.booleans())
@settings(max_examples=25, deadline=None)
def test_tick_labels_do_not_run_into_each_other(values: list[float], whole: bool) -> None:
    numbers = [int(value) for value in values] if whole else values
    if len(set(numbers)) < 2:
        return
    trials = [a_trial(each, [each / 20], units=value) for each, value in enumerate(numbers)]
    [figure] = against_accuracy(leaderboard(trials, ("units",))).values()
    svg(figure, "panel")
    [axes] = figure.axes
    if not in_strips(pd.Series(numbers).convert_dtypes()):
        labels = [label for label in axes.get_xticklabels() if label.get_visible() and label.get_text()]
        boxes = [label.get_window_extent() for label in labels]
        assert not any(one.overlaps(other) for one, other in itertools.pairwise(boxes))


def test_all_names_are_written_however_long() -> None:
    names = [f"a_long_name_{number}" for number in range(9)]
    trials = [a_trial(each, [each / 30], optimizer=names[each % 9]) for each in range(18)]
    [figure] = against_accuracy(leaderboard(trials, ("optimizer",))).values()
    svg(figure, "panel")
    assert labels_of(figure.axes[0].xaxis) == [short(name) for name in names]


def test_progress_covers_all_the_time_until_the_last_trial_ended() -> None:
    cut_off = dataclasses.replace(a_trial(1, [0.2], TrialState.INTERRUPTED), seconds=360.0)
    [axes] = progress([a_trial(0, [0.5, 0.8]), cut_off]).axes
    (line,) = axes.lines
    assert (line.get_xdata()[-1], line.get_ydata()[-1]) == (pytest.approx(370 / 60), 0.8)
    assert axes.get_xlim()[1] > 370 / 60


def test_a_trial_that_no_worker_is_known_of_has_a_row_that_says_so() -> None:
    known = dataclasses.replace(a_trial(0, [0.5]), worker="host 1")
    [axes] = timeline([known, a_trial(1, state=TrialState.INTERRUPTED)]).axes
    assert labels_of(axes.yaxis) == ["1", "before an epoch"]


def test_the_same_run_is_drawn_the_same_way() -> None:
    once, again = (svg(learning_curves(many_trials(), best=1, rungs=(1,)), "curves") for _ in range(2))
    assert once == again
