"""What one trial gets of a machine or a cluster."""

import pytest

from search_spaces.errors import UserError
from tuner.trial.resources import TrialResources, share_out


@pytest.mark.parametrize(
    ("available", "options", "expected"),
    [
        ({"CPU": 2.0}, {}, (1, 0, 2)),
        ({"CPU": 8.0}, {"cpus": 2.0}, (2, 0, 4)),
        ({"CPU": 8.0}, {"concurrency": 3}, (1, 0, 3)),
        ({"CPU": 16.0, "GPU": 1.0}, {}, (16, 1, 1)),
        ({"CPU": 16.0, "GPU": 4.0}, {}, (4, 1, 4)),
        ({"CPU": 16.0, "GPU": 1.0}, {"gpus": 0.25}, (4, 0.25, 4)),
        ({"CPU": 16.0, "GPU": 4.0}, {"gpus": 0.0}, (1, 0, 16)),
        ({"CPU": 2.0, "GPU": 4.0}, {}, (0.5, 1, 4)),
        ({"CPU": 16.0, "GPU": 8.0}, {"gpus": 0.25}, (0.5, 0.25, 32)),
        ({"CPU": 16.0, "GPU": 2.0}, {"gpus": 0.6}, (8, 0.6, 2)),
        ({"CPU": 16.0, "GPU": 4.0}, {"gpus": 2.0}, (8, 2, 2)),
    ],
)
def test_all_of_the_machine_is_used(
    available: dict[str, float], options: dict[str, float], expected: tuple[float, float, int]
) -> None:
    asked = {"cpus": None, "gpus": None, "concurrency": None} | options
    assert share_out([available], **asked, trials=100) == TrialResources(*expected)  # type: ignore[arg-type]


def test_no_trial_lies_across_two_machines() -> None:
    head, large, small = {"CPU": 4.0}, {"CPU": 16.0, "GPU": 2.0}, {"CPU": 4.0, "GPU": 1.0}
    assert share_out([head, large, small], None, None, None, 100) == TrialResources(4, 1, 3)
    assert share_out([head, large, small], 3, 0, None, 100) == TrialResources(3, 0, 1 + 5 + 1)
    assert share_out([large, small], None, 2.0, None, 100) == TrialResources(16, 2, 1)
    with pytest.raises(UserError, match="--gpus-per-trial 3: the best machine has 2 GPUs; ask for at most that"):
        share_out([large, small], None, 3.0, None, 100)


def test_no_more_trials_at_a_time_than_there_are() -> None:
    assert share_out([{"CPU": 16.0}], None, None, None, trials=3).concurrency == 3


def test_asking_for_more_than_there_is() -> None:
    with pytest.raises(
        UserError, match="--gpus-per-trial 1: no machine has a GPU that Ray sees; leave that option out"
    ):
        share_out([{"CPU": 2.0}], None, 1.0, None, 5)
    with pytest.raises(UserError, match="--cpus-per-trial 4: there are 2 CPUs"):
        share_out([{"CPU": 2.0}], 4.0, None, None, 5)


def test_threads_follow_cpus() -> None:
    assert [TrialResources(cpus, 0, 1).threads for cpus in (0.5, 1, 4)] == [1, 1, 4]
