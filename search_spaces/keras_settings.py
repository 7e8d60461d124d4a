"""What Keras is told from outside, by KERAS_BACKEND and keras.json, seen before it is imported."""

import importlib.util
import json
import os
from contextlib import suppress
from pathlib import Path

from search_spaces.errors import UserError, like

BACKENDS = ("tensorflow", "jax")
"""Of Keras, those that trials are trained with."""
NEEDED = {"image_data_format": "channels_last", "floatx": "float32"}
"""Settings of keras.json that models are built for."""


def check_keras() -> None:
    """See that Keras can be imported as it is set up here, and builds what is meant.

    Raises:
        UserError: another backend, one that is not installed, or another setting than `NEEDED`.
    """
    file = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "keras.json"
    said = _read(file)
    backend, where = os.environ.get("KERAS_BACKEND"), "KERAS_BACKEND"
    if not backend:  # as Keras does
        backend, where = str(said.get("backend", BACKENDS[0])), f'{file}: "backend"'
    if backend not in BACKENDS:
        raise UserError(
            f"{where} {backend}: must be one of {', '.join(BACKENDS)}{like(backend, BACKENDS)}, with which trials are "
            "trained"
        )
    if importlib.util.find_spec(backend) is None:
        package = "'thaw-tuner[jax]'" if backend == "jax" else backend
        raise UserError(f"{where} {backend}: that package is not installed: pip install {package}")
    for name, needed in NEEDED.items():
        if (value := said.get(name, needed)) != needed:
            raise UserError(
                f'{file}: "{name}" is {value} but must be {needed}: change it there, or let KERAS_HOME name another '
                "folder"
            )


def _read(file: Path) -> dict[str, object]:
    """Nothing where it is missing or damaged, as Keras takes it."""
    with suppress(OSError, ValueError):
        found = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return found
    return {}
