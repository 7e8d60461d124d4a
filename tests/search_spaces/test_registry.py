"""Spaces by name: ours, a user's, KerasTuner's own."""

from pathlib import Path

import keras_tuner
import pytest

from search_spaces.custom_cnn import CustomCNN
from search_spaces.errors import UserError
from search_spaces.finetune import FineTune
from search_spaces.registry import SpaceSpec
from search_spaces.task import Task


def spec(name: str, folder: str = "") -> SpaceSpec:
    return SpaceSpec(name, Task(32, 10, 1000, 5), {"vgg16": None}, folder)


def test_our_spaces_are_known_by_name() -> None:
    assert isinstance(spec("custom_cnn").create(), CustomCNN)
    assert isinstance(spec("finetune").create(), FineTune)


def test_kerastuners_own_spaces_get_shape_and_classes() -> None:
    space = spec("keras_tuner.applications:HyperXception").create()
    assert space.classes == 10
    assert space.input_shape == (32, 32, 3)


def test_a_users_class_is_found_in_the_working_folder(tmp_path: Path) -> None:
    (tmp_path / "my_space_module.py").write_text(
        "import keras_tuner\nclass Mine(keras_tuner.HyperModel):\n    def build(self, hp): return None\n"
    )
    assert isinstance(spec("my_space_module:Mine", str(tmp_path)).create(), keras_tuner.HyperModel)


def test_the_users_working_folder_is_entered_where_it_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker of Ray begins elsewhere, and a `build` may open files."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "theirs").mkdir()
    spec("custom_cnn", str(tmp_path / "nowhere")).enter_folder()
    assert Path.cwd() == tmp_path
    spec("custom_cnn", str(tmp_path / "theirs")).enter_folder()
    assert Path.cwd() == tmp_path / "theirs"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet", "--space resnet is unknown: use custom_cnn, finetune or PACKAGE.MODULE:NAME"),
        ("no_such_module_anywhere:X", "cannot be imported: No module named 'no_such_module_anywhere'"),
        ("json:Missing", "cannot be imported: .* no attribute 'Missing'"),
        ("json:JSONDecoder", "is no keras_tuner.HyperModel and no function build"),
        ("tests.search_spaces.test_registry:Demanding", "its constructor needs colour, but only these can be given"),
    ],
)
def test_what_is_no_space_is_refused(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        spec(name).create()


class Demanding(keras_tuner.HyperModel):
    """Needs what no one offers."""

    def __init__(self, colour: str) -> None:
        super().__init__()
