"""What one rung knows."""

import random

from search_spaces.hyperparameter import Choices, Hyperparameter, Range
from tuner.proposal.rung_view import MOST, RungView
from tuner.proposal.suggestion import Suggestions

SUGGESTIONS = Suggestions((Hyperparameter("kind", Choices(("a", "b")), "a"), Hyperparameter("x", Range(0.0, 1.0), 0.5)))


def test_after_ten_thousand_trials_the_best_are_known_and_few_others() -> None:
    view, rng = RungView(SUGGESTIONS), random.Random(0)
    for number in range(10_000):
        x = rng.random()
        view.begin(number, SUGGESTIONS.trial({"kind": "b" if number == 17 else "a", "x": x}))
        view.end(number, 0.99 if number == 17 else x / 2)
    assert view.results == 10_000
    best = view.best(5)
    assert best[0]["kind"] == "b"
    assert all(float(one["x"]) > 0.99 for one in best[1:])
    assert len(view._study.get_trials(deepcopy=False)) <= 2 * MOST + 1


def test_failures_are_no_results_and_what_never_got_here_leaves_no_trace() -> None:
    view = RungView(SUGGESTIONS)
    for number, score in enumerate([0.5, -1.0, None, 0.7]):
        view.begin(number, SUGGESTIONS.trial({"kind": "a", "x": number / 10}))
        view.end(number, score)
    assert view.results == 2
    assert [one["x"] for one in view.best(9)] == [0.3, 0.0]


def test_what_runs_is_not_proposed_beside_itself() -> None:
    """The optimum is known well, and twenty trials run there: a fit that did not know would propose a twenty-first."""

    def proposals(runs: int) -> list[float]:
        view, rng = RungView(SUGGESTIONS), random.Random(1)
        for number in range(40):
            x = rng.random()
            view.begin(number, SUGGESTIONS.trial({"kind": "a", "x": x}))
            view.end(number, 1 - abs(x - 0.3))
        for number in range(40, 40 + runs):
            view.begin(number, SUGGESTIONS.trial({"kind": "a", "x": 0.3 + rng.uniform(-0.02, 0.02)}))
        return [float(view.propose(seed)["x"]) for seed in range(40)]

    def near(found: list[float]) -> int:
        return sum(abs(x - 0.3) < 0.05 for x in found)

    assert near(proposals(0)) > near(proposals(20)) + 5


def test_what_never_gets_here_and_failures_are_forgotten() -> None:
    view = RungView(SUGGESTIONS)
    for number in range(5_000):
        view.begin(number, SUGGESTIONS.trial({"kind": "a", "x": number / 5_000}))
        view.end(number, 0.5 if number % 500 == 0 else -1.0 if number % 2 else None)
    assert view.results == 10
    assert [one["x"] for one in view.best(20)] == [number / 10 for number in range(10)]
    assert len(view._study.get_trials(deepcopy=False)) <= 3 * MOST + 1


def test_failures_do_not_make_mediocre_trials_good() -> None:
    """Nine failures for each result: a tenth of all would be every result there is."""
    view, rng = RungView(SUGGESTIONS), random.Random(2)
    for number in range(200):
        x = rng.random()
        view.begin(number, SUGGESTIONS.trial({"kind": "b" if number % 10 else "a", "x": x}))
        view.end(number, -1.0 if number % 10 else 1 - abs(x - 0.8))
    found = [view.propose(seed) for seed in range(60)]
    assert sum(abs(float(one["x"]) - 0.8) for one in found) / 60 < 0.25
