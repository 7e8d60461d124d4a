"""The files that lie beside an exported model: its class names, its levels and its card."""

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from results.levels import Levels
from search_spaces.errors import UserError

_NAMES = TypeAdapter(tuple[str, ...])
LEVELS = TypeAdapter(Levels)


def labels_path(model: Path) -> Path:
    """Where the class names of an exported model are: `model.labels.json` beside `model.keras`."""
    return model.with_suffix(".labels.json")


def levels_path(model: Path) -> Path:
    """Where the levels are of images of more than 8 bits that a model was trained on: `model.levels.json`."""
    return model.with_suffix(".levels.json")


def card_path(model: Path) -> Path:
    """Where the model card of an exported model is: `model.md` beside `model.keras`."""
    return model.with_suffix(".md")


def read_labels(model: Path) -> tuple[str, ...]:
    """The class names that lie beside an exported model; empty without such a file.

    Raises:
        UserError: it is no list of names.
    """
    file = labels_path(model)
    if not file.is_file():
        return ()
    try:
        return _NAMES.validate_json(file.read_bytes())
    except ValidationError as error:
        raise UserError(f"{file} is not a JSON list of class names: export the model again") from error


def read_levels(model: Path) -> Levels | None:
    """The levels that lie beside an exported model; None without such a file: it was trained on 8 bits.

    Raises:
        UserError: the file is damaged.
    """
    file = levels_path(model)
    if not file.is_file():
        return None
    try:
        return LEVELS.validate_json(file.read_bytes())
    except ValidationError as error:
        raise UserError(f"{file} does not hold the levels black and white: export the model again") from error
