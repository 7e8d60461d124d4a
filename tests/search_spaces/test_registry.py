"""Spaces by name: ours, a user's, KerasTuner's own."""

from pathlib import Path

import keras_tuner
import pytest

from search_spaces import registry
from search_spaces.custom_cnn import CustomCNN
from search_spaces.errors import UserError
from search_spaces.finetune import FineTune
from search_spaces.space import Task

OFFERED = {"task": Task(32, 10, 1000, 5), "weights": {"vgg16": None}, "input_shape": (32, 32, 3), "classes": 10}


def test_our_spaces_are_known_by_name() -> None:
    assert isinstance(registry.create("custom_cnn", **OFFERED), CustomCNN)
    assert isinstance(registry.create("finetune", **OFFERED), FineTune)


def test_kerastuners_own_spaces_get_shape_and_classes() -> None:
    space = registry.create("keras_tuner.applications:HyperXception", **OFFERED)
    assert space.classes == 10
    assert space.input_shape == (32, 32, 3)


def test_a_users_class_is_found_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_space_module.py").write_text(
        "import keras_tuner\nclass Mine(keras_tuner.HyperModel):\n    def build(self, hp): return None\n"
    )
    monkeypatch.chdir(tmp_path)
    assert isinstance(registry.create("my_space_module:Mine", **OFFERED), keras_tuner.HyperModel)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet", "--space resnet is unknown: use custom_cnn, finetune or PACKAGE.MODULE:CLASS"),
        ("no_such_module_anywhere:X", "cannot be imported: No module named 'no_such_module_anywhere'"),
        ("json:Missing", "cannot be imported: .* no attribute 'Missing'"),
        ("json:JSONDecoder", "is no subclass of keras_tuner.HyperModel"),
        ("tests.search_spaces.test_registry:Demanding", "its constructor needs colour, but only these can be given"),
    ],
)
def test_what_is_no_space_is_refused(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        registry.create(name, **OFFERED)


class Demanding(keras_tuner.HyperModel):
    """Needs what no one offers."""

    def __init__(self, colour: str) -> None:
        super().__init__()
