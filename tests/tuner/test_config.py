"""Options are checked when the configuration of a study is made."""

from pathlib import Path
from typing import Any

import pytest

from search_spaces.errors import UserError
from tuner.config import StudyConfig, read_configurations
from tuner.options import seconds, settings


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trials": 0}, "--trials 0: must be at least 1"),
        ({"name": "n" * 129}, "--name nnnnnnnnnnnnnnnnnnnn...: has 129 characters but may have 128 at most"),
        ({"name": "a\nb"}, r"--name 'a\\nb' must be letters, digits, '.', '_' and '-'"),
        ({"name": "a\0b"}, r"--name 'a\\x00b' must be letters"),
        ({"name": "../b"}, r"--name '../b' must be letters"),
        ({"storage": "a\0b"}, r"--storage 'a\\x00b': must have no NUL character"),
        ({"data": "a\0b"}, r"--data 'a\\x00b': must have no NUL character"),
        ({"max_epochs": 0}, "--max-epochs 0: must be at least 1"),
        ({"image_size": 4}, "--image-size 4: must be at least 8"),
        ({"grace_epochs": 9, "max_epochs": 5}, r"--grace-epochs 9: must be at most --max-epochs \(5\)"),
        ({"reduction_factor": 1.0}, "--reduction-factor 1.0: must be more than 1"),
        ({"scheduler": "hyperband"}, "--scheduler hyperband: must be one of asha, none"),
        ({"precision": "float16"}, "--precision float16: must be one of auto, float32, bfloat16"),
        ({"cpus_per_trial": 0.0}, "--cpus-per-trial 0.0: must be more than 0"),
        ({"gpus_per_trial": -1.0}, "--gpus-per-trial -1.0: must be 0 or more"),
        ({"gpus_per_trial": 1.5}, "--gpus-per-trial 1.5: above 1 must be a whole number"),
        ({"views": 2, "feature_store_gb": 0.0}, "--views 2: needs a --feature-store-gb of more than 0"),
        ({"concurrency": 0}, "--concurrency 0: must be at least 1"),
        ({"seed": -1}, "--seed -1: must be at least 0"),
        ({"time_budget": 0.0}, "--time-budget 0.0: must be more than 0"),
        ({"mlflow": "http://me:secret@tracking"}, "--mlflow with a password: it would be written into study.json"),
        ({"name": "../elsewhere"}, r"--name '../elsewhere' must be letters, digits"),
        ({"name": ".."}, r"--name '..' must be letters, digits"),
    ],
)
def test_an_option_out_of_range_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        StudyConfig(**options)


def test_from_python_options_may_be_as_on_a_command_line(tmp_path: Path) -> None:
    config = StudyConfig(data=tmp_path, storage="there", time_budget="30m", warm_start="a,b", fix="blocks=2",  # type: ignore[arg-type]
                         backbones=["vgg16"], max_epochs=5.0)  # type: ignore[arg-type]  # fmt: skip
    assert (config.data, config.storage, config.time_budget) == (str(tmp_path), "there", 1800)
    assert (config.warm_start, config.fix, config.backbones) == (("a", "b"), {"blocks": 2}, ("vgg16",))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trials": "many"}, "--trials 'many': input should be a valid integer"),
        ({"trials": 2.5}, "--trials 2.5: input should be a valid integer"),
        ({"fix": 3}, "--fix 3: input should be a valid dictionary"),
        ({"time_budget": "soon"}, "--time-budget 'soon' must be a number of seconds"),
        ({"data": ([1], [0])}, r"--data: arrays and data sets go beside the options: run_study\(config, \(images"),
    ],
)
def test_what_is_no_value_of_an_option_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        StudyConfig(**options)


def test_help_lists_the_options() -> None:
    assert "max_epochs: Epochs of a trial that is not stopped early." in (StudyConfig.__doc__ or "")


def test_a_run_is_named_after_its_space_and_time() -> None:
    assert StudyConfig(space="my.module:Space").paths.name.startswith("Space-2")


@pytest.mark.parametrize(
    ("text", "expected"), [("90s", 90), ("30m", 1800), ("1.5h", 5400), ("2d", 172_800), ("45", 45)]
)
def test_durations(text: str, expected: float) -> None:
    assert seconds("--time-budget", text) == expected


@pytest.mark.parametrize("text", ["", "soon", "-5m", "1h30m", "nan"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(
        UserError, match=r"--time-budget .* must be a number of seconds, or one with a unit: 90s, 30m, 1.5h"
    ):
        seconds("--time-budget", text)


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "is not JSON"), ("{}", "must be a JSON list of"), ("[]", "one or more objects"), ("[1]", "must be a JSON")],
)
def test_a_file_of_configurations_is_a_list_of_objects(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "configs.json"
    file.write_text(content)
    with pytest.raises(UserError, match=message):
        read_configurations(file)
    with pytest.raises(UserError, match="cannot be read: No such file"):
        read_configurations(tmp_path / "none.json")


def test_a_relative_store_is_one_folder_for_all_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert StudyConfig(feature_store=Path("features")).feature_store == tmp_path / "features"


def test_a_hyperparameter_is_fixed_once() -> None:
    with pytest.raises(
        UserError, match=r"--fix optimizer=sgd: optimizer is fixed at adam already; give one of the two"
    ):
        settings("--fix", ["optimizer=adam", "optimizer=sgd"])
