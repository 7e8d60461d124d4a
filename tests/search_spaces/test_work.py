"""What a configuration computes, before a model is built."""

import pytest

from search_spaces.backbones import BACKBONES
from search_spaces.configuration import complete
from search_spaces.declaration import declared
from search_spaces.finetune import FineTune
from search_spaces.task import Task
from search_spaces.work import first_rung_work

SPACE = declared(FineTune(Task(96, 3, 100, 5), dict.fromkeys(BACKBONES)))


def work(epochs: int = 1, **given: object) -> float:
    return first_rung_work("finetune", epochs)(complete(SPACE, {"backbone": "mobilenet", **given}))


def test_larger_images_and_more_thawed_layers_are_more_work() -> None:
    assert work(image_size=192) == pytest.approx(4 * work())
    assert work(unfrozen_layers=85) == pytest.approx(3 * work())
    assert work() < work(unfrozen_layers=10) < work(unfrozen_layers=40) < work(unfrozen_layers=85)
    assert work(backbone="vgg16") > 20 * work()


def test_frozen_layers_compute_once_unless_images_change() -> None:
    assert work(5) == work(1)
    assert work(5, augmentation="light") == work(5, mix="mixup") == pytest.approx(5 * work())


def test_layers_that_thaw_after_the_first_rung_cost_nothing_before() -> None:
    assert work(1, unfrozen_layers=85, warmup_epochs=2) == pytest.approx(work())
    assert work(4, unfrozen_layers=85, warmup_epochs=2) == pytest.approx(7 * work())


def test_of_another_space_nothing_is_known() -> None:
    assert first_rung_work("my_space:Space", 1)({"backbone": "huge"}) == 1.0
