"""A Keras that is set up for something else is told before it is imported."""

import importlib.util
import json
from pathlib import Path

import pytest

from search_spaces.errors import UserError
from search_spaces.keras_settings import check_keras


@pytest.fixture(autouse=True)
def keras_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    return tmp_path


@pytest.mark.parametrize("said", [{}, {"backend": "jax"}, {"image_data_format": "channels_last", "epsilon": 1e-7}])
def test_what_can_be_used_is_let_by(said: dict[str, object], keras_home: Path) -> None:
    if said.get("backend") == "jax" and importlib.util.find_spec("jax") is None:
        pytest.skip("JAX is not installed")
    (keras_home / "keras.json").write_text(json.dumps(said))
    check_keras()


@pytest.mark.parametrize("text", ["", "[]", "{broken", '"tensorflow"'])
def test_a_damaged_file_is_none_as_keras_takes_it(text: str, keras_home: Path) -> None:
    (keras_home / "keras.json").write_text(text)
    check_keras()


@pytest.mark.parametrize(
    ("backend", "message"),
    [
        ("torch", "^KERAS_BACKEND torch: must be one of tensorflow, jax, with which trials are trained"),
        ("tensorflwo", r"^KERAS_BACKEND tensorflwo: must be one of tensorflow, jax \(did you mean tensorflow\?\)"),
        ("TensorFlow", "^KERAS_BACKEND TensorFlow: must be one of"),
    ],
)
def test_another_backend_is_refused(backend: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", backend)
    with pytest.raises(UserError, match=message):
        check_keras()


def test_a_backend_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"^KERAS_BACKEND jax: .* not installed: pip install 'thaw-tuner\[jax"):
        check_keras()


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"backend": "torch"}, 'keras.json: "backend" torch: must be one of'),
        ({"image_data_format": "channels_first"}, '"image_data_format" is channels_first but must be channels_last'),
        ({"floatx": "float16"}, '"floatx" is float16 but must be float32: change it there, or let KERAS_HOME'),
    ],
)
def test_another_setting_is_refused(said: dict[str, str], message: str, keras_home: Path) -> None:
    (keras_home / "keras.json").write_text(json.dumps(said))
    with pytest.raises(UserError, match=message):
        check_keras()
