"""What is proposed after what was seen."""

import random
import statistics

import pytest

from search_spaces.configuration import Configuration
from search_spaces.hyperparameter import Choices, Condition, Hyperparameter, Range
from tuner.proposal import proposer as proposer_module
from tuner.proposal.proposer import Proposer
from tuner.proposal.rung_chain import ENOUGH

SPACE = (
    Hyperparameter("kind", Choices(("a", "b")), "a"),
    Hyperparameter("x", Range(0.0, 1.0), 0.5),
    Hyperparameter("y", Range(0.0, 1.0), 0.5, (Condition("kind", ("b",)),)),
)
RUNGS = (1, 3, 9)


def accuracy(configuration: Configuration, epoch: int) -> float:
    """That of `study`."""
    score = 0.9 - abs(float(configuration["x"]) - 0.7) / 2 - abs(float(configuration.get("y", 0.0)) - 0.7) / 2
    return score if epoch > 1 else (1 - score) / 2


def study(proposer: Proposer, trials: int, begin: int = 0, epochs: int = 9) -> list[Configuration]:
    """Trials one after another in which kind "b" with x and y near 0.7 is best at epochs from 3 on, worst at 1."""
    found = []
    for number in range(begin, begin + trials):
        configuration = proposer.propose(number)
        assert configuration is not None
        found.append(configuration)
        proposer.begin(number, configuration)
        for epoch in RUNGS:
            if epoch <= epochs:
                proposer.report(number, epoch, accuracy(configuration, epoch))
        proposer.end(number, is_done=epochs == 9)
    return found


def distance(configurations: list[Configuration]) -> float:
    return statistics.mean(abs(float(one["x"]) - 0.7) + abs(float(one.get("y", 0.0)) - 0.7) for one in configurations)


def test_it_begins_at_random_and_then_closes_in() -> None:
    found = study(Proposer(SPACE, RUNGS, seed=1), 80)
    assert distance(found[50:]) < 0.7 * distance(found[:ENOUGH])
    assert sum("y" in one for one in found[50:]) > 15


def test_the_highest_rung_that_knows_enough_is_believed() -> None:
    """At epoch 1 the worst look best."""
    misled, informed = Proposer(SPACE, RUNGS, seed=2), Proposer(SPACE, RUNGS, seed=2)
    study(misled, 40, epochs=1)
    study(informed, 40, epochs=9)
    assert distance(study(informed, 30, begin=40, epochs=9)) < 0.7 * distance(study(misled, 30, begin=40, epochs=1))


def test_failures_are_avoided_but_prove_nothing_else() -> None:
    proposer, rng = Proposer(SPACE, RUNGS, seed=3), random.Random(0)
    for number in range(60):
        configuration: Configuration = {"kind": "a", "x": rng.random()}
        proposer.begin(number, configuration)
        if float(configuration["x"]) > 0.5:
            proposer.report(number, 1, 0.8)
            proposer.end(number, has_failed=True)
        else:
            proposer.report(number, 1, 0.1)
            proposer.report(number, 3, 0.2)
            proposer.end(number)
    found = [proposer.propose(number) for number in range(100, 200)]
    assert sum(one is not None and float(one["x"]) < 0.5 for one in found) > 60


def test_a_trial_that_runs_is_not_proposed_again() -> None:
    space = (Hyperparameter("x", Choices((1, 2, 3)), 1),)
    proposer = Proposer(space, RUNGS, seed=0)
    found = []
    for number in range(3):
        configuration = proposer.propose(number)
        assert configuration is not None
        proposer.begin(number, configuration)
        found.append(configuration["x"])
    assert sorted(found, key=int) == [1, 2, 3]
    assert proposer.propose(3) is None


def test_only_what_is_welcome_is_proposed() -> None:
    proposer = Proposer(SPACE, RUNGS, seed=0)
    assert all(
        (one := proposer.propose(number, lambda configuration: configuration["kind"] == "b")) and one["kind"] == "b"
        for number in range(20)
    )
    assert proposer.propose(0, lambda configuration: False) is None


@pytest.mark.parametrize("number", range(30, 40))
def test_the_same_trials_and_number_give_the_same_proposal(number: int) -> None:
    one, other = Proposer(SPACE, RUNGS, seed=4), Proposer(SPACE, RUNGS, seed=4)
    study(one, 30)
    study(other, 30)
    assert one.propose(number) == other.propose(number)


def test_a_cliff_that_only_the_first_rung_has_seen_is_shunned(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when many layers thaw at a high rate: such trials end at the first rung, and no later one sees them."""
    monkeypatch.setattr(proposer_module, "MINDS", {"chain": 1.0})
    layers, rate = Range(0, 85, 1, whole=True), Range(1e-4, 3e-2, None, "log")
    space = (Hyperparameter("layers", layers, 0), Hyperparameter("rate", rate, 1e-3))
    proposer = Proposer(space, (1, 4), seed=5)
    over = []
    for number in range(40):
        configuration = proposer.propose(number)
        assert configuration is not None
        proposer.begin(number, configuration)
        thawed, speed = layers.place(float(configuration["layers"])), rate.place(float(configuration["rate"]))
        over.append(thawed + speed > 0.7)
        score = 0.1 if over[-1] else 0.7 - abs(thawed - 0.3) / 2 - abs(speed - 0.15) / 2
        proposer.report(number, 1, score)
        if not over[-1]:
            proposer.report(number, 4, score + 0.1)
        proposer.end(number, is_done=not over[-1])
    assert statistics.mean(over[10:40]) < 0.5 * statistics.mean(over[:10])


def test_what_it_proposes_follows_from_what_it_was_told() -> None:
    """So a search that is taken up again goes on as it would have."""
    proposed, told = Proposer(SPACE, RUNGS, seed=6), Proposer(SPACE, RUNGS, seed=6)
    for number, configuration in enumerate(study(proposed, 50)):
        told.begin(number, configuration)
        for epoch in RUNGS:
            told.report(number, epoch, accuracy(configuration, epoch))
        told.end(number, is_done=True)
    numbers = range(50, 70)
    assert [proposed.propose(number) for number in numbers] == [told.propose(number) for number in numbers]


def test_what_is_not_welcome_costs_no_turns() -> None:
    """Near the end of the time only what is quick is; the model looks there at once."""
    proposer = Proposer(SPACE, RUNGS, seed=7)
    study(proposer, 60)
    asked = []

    def quick(configuration: Configuration) -> bool:
        asked.append(configuration)
        return float(configuration["x"]) < 0.3

    proposals = [proposer.propose(number, quick) for number in range(60, 80)]
    assert all(one is not None and float(one["x"]) < 0.3 for one in proposals)
    assert len(asked) / 20 < 8 * 32


def test_what_always_fails_is_tried_ever_more_seldom() -> None:
    """From the start, and not only when ten trials have scores; and never not at all."""
    space = (
        Hyperparameter("kind", Choices(("good", "raises", "diverges")), "good"),
        Hyperparameter("rate", Range(1e-4, 1e-1, scale="log"), 1e-3),
        Hyperparameter("units", Range(8, 512, 8, whole=True), 32),
        Hyperparameter("dropout", Range(0.0, 0.5), 0.1),
    )
    failures = []
    for seed in range(6):
        proposer, rng = Proposer(space, RUNGS, seed), random.Random(seed)
        failed = []
        for number in range(45):
            configuration = proposer.propose(number)
            assert configuration is not None
            proposer.begin(number, configuration)
            failed.append(configuration["kind"] != "good")
            for epoch in RUNGS if not failed[-1] else ():
                proposer.report(number, epoch, 0.9 - float(configuration["dropout"]) + rng.gauss(0, 0.01))
            proposer.end(number, is_done=not failed[-1], has_failed=failed[-1])
        failures.append((sum(failed[:20]), sum(failed[20:])))
    assert statistics.mean(first for first, _ in failures) < 12  # two thirds would be 13
    assert statistics.mean(last for _, last in failures) < 6  # of 25
    assert any(last for _, last in failures)


def test_without_failures_nothing_is_drawn_otherwise() -> None:
    """What survives draws as if nobody had counted."""
    counted, blind = Proposer(SPACE, RUNGS, seed=4), Proposer(SPACE, RUNGS, seed=4)
    blind._survival.count = lambda configuration, has_failed: None  # type: ignore[method-assign]
    assert study(counted, 25) == study(blind, 25)
