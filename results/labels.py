"""The files that lie beside an exported model: its class names and its card."""

import json
from pathlib import Path


def labels_path(model: Path) -> Path:
    """Where the class names of an exported model are: `model.labels.json` beside `model.keras`."""
    return _plain(model).with_suffix(".labels.json")


def card_path(model: Path) -> Path:
    """Where the model card of an exported model is: `model.md` beside `model.keras`."""
    return _plain(model).with_suffix(".md")


def read_labels(model: Path) -> tuple[str, ...]:
    """The class names that lie beside an exported model; empty without such a file."""
    file = labels_path(model)
    if not file.is_file():
        return ()
    return tuple(str(label) for label in json.loads(file.read_text(encoding="utf-8")))


def _plain(model: Path) -> Path:
    """`model.tflite` of `model.int8.tflite`; others are themselves."""
    return model.with_name(model.name.replace(".int8.tflite", ".tflite"))
