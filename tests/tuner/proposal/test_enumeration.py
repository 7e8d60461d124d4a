"""Small spaces, looked through."""

from search_spaces.configuration import complete
from search_spaces.hyperparameter import Choices, Condition, Hyperparameter, Range
from tuner.proposal.enumeration import every_configuration
from tuner.proposal.proposer import Proposer

SPACE = (
    Hyperparameter("kind", Choices(("a", "b")), "a"),
    Hyperparameter("depth", Range(1, 3, None, "linear", whole=True), 1, (Condition("kind", ("a",)),)),
    Hyperparameter("rate", Range(0.0, 0.5, 0.2), 0.0),
    Hyperparameter("kept", Range(0.0, 1.0), 0.5, drawn=False),
)


def test_each_configuration_once() -> None:
    every = every_configuration(SPACE)
    assert every is not None
    assert len(every) == len({tuple(sorted(one.items())) for one in every}) == 3 * 3 + 3
    assert all(complete(SPACE, one) == one for one in every)


def test_infinite_and_large_spaces_are_not_listed() -> None:
    assert every_configuration([Hyperparameter("x", Range(0.0, 1.0), 0.5)]) is None
    assert every_configuration([Hyperparameter(str(n), Choices(tuple(range(10))), 0) for n in range(5)]) is None


def test_what_can_never_be_active_does_not_make_a_space_infinite() -> None:
    """As when `optimizer` is fixed to one that has no momentum."""
    space = [
        Hyperparameter("optimizer", Choices(("adam",)), "adam"),
        Hyperparameter("momentum", Range(0.0, 1.0), 0.9, (Condition("optimizer", ("sgd",)),)),
        Hyperparameter("clip", Range(0.5, 0.5), 0.5),
        Hyperparameter("x", Range(1, 100, None, "linear", whole=True), 1),
    ]
    every = every_configuration(space)
    assert every is not None
    assert len(every) == 100
    assert every[0] == {"optimizer": "adam", "clip": 0.5, "x": 1}


def test_a_finite_space_is_tried_to_its_last_configuration() -> None:
    space = [Hyperparameter("x", Range(1, 100, None, "linear", whole=True), 1)]
    proposer, found = Proposer(space, (1,), seed=0), []
    while (one := proposer.propose(len(found))) is not None:
        proposer.begin(len(found), one)
        proposer.report(len(found), 1, 0.5)
        proposer.end(len(found), is_done=True)
        found.append(one["x"])
    assert sorted(found, key=int) == list(range(1, 101))
