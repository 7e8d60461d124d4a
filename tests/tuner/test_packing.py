"""How many trials are put on one GPU."""

import pytest

from search_spaces.custom_cnn import CustomCNN
from search_spaces.declaration import declared
from search_spaces.registry import SpaceSpec
from search_spaces.task import Task
from tuner import packing
from tuner.packing import Measured, configurations, measure, slots
from tuner.trial.datasets import ImageData
from tuner.trial.resources import TrialResources

TASK = Task(16, 2, 40, max_epochs=2)


@pytest.mark.parametrize(
    ("gigabytes", "peak", "cpus", "expected"),
    [
        (16, 2.0, 8, 5),  # 1.25 times the peak, and what the process takes beside it
        (16, 2.0, 4, 4),  # each wants a processor
        (140, 1.0, 64, 8),
        (16, 15.0, 8, 1),
        (16, 2.0, 0.5, 1),
    ],
)
def test_as_many_as_fit(gigabytes: float, peak: float, cpus: float, expected: int) -> None:
    assert slots(Measured(gigabytes * 1e9, peak * 1e9), cpus) == expected


def test_the_default_configuration_is_tried_and_others() -> None:
    found = configurations(declared(CustomCNN(TASK)), seed=0)
    assert found[0]["blocks"] == 3
    assert len({str(one) for one in found}) == len(found) > 1
    assert found == configurations(declared(CustomCNN(TASK)), seed=0)


def test_a_configuration_that_cannot_train_is_left_out(
    two_colours: ImageData, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setattr(packing, "prepare_process", lambda resources: None)
    monkeypatch.setattr(packing, "_total", lambda: 16e9)
    monkeypatch.setattr(packing, "_peak", lambda: 1e9)
    tried = configurations(declared(CustomCNN(TASK)), seed=0)[:1]
    tried.append(tried[0] | {"optimizer": "sgd", "learning_rate": 1e30})
    spec = SpaceSpec("custom_cnn", TASK, {}, str(tmp_path))
    images, labels = two_colours.train_images, two_colours.train_labels
    assert measure(spec, tried, images, labels, "float32", TrialResources(1, 1, 1)) == Measured(16e9, 1e9)


def test_where_no_memory_can_be_read_nothing_is_shared(
    two_colours: ImageData, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setattr(packing, "prepare_process", lambda resources: None)
    monkeypatch.setenv("PATH", str(tmp_path))  # no nvidia-smi
    spec = SpaceSpec("custom_cnn", TASK, {}, str(tmp_path))
    images, labels = two_colours.train_images, two_colours.train_labels
    assert measure(spec, [], images, labels, "float32", TrialResources(1, 1, 1)) is None
