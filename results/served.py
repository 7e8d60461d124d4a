"""What is needed to use a model: where it lies, its classes, what is known of it, images to try."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from zipfile import is_zipfile

from results.candidate import candidate
from results.image_files import images_below
from results.labels import read_labels, read_levels
from results.levels import Levels
from results.records import read_study, read_test
from results.remote import existing_run
from results.run_files import is_uri
from results.wording import percent
from search_spaces.errors import UserError

SAMPLES = 12


@dataclass(frozen=True)
class Served:
    """What is served."""

    title: str
    model: Path
    labels: tuple[str, ...]
    told: str
    """Of its accuracy, in a sentence; may be empty."""
    samples: tuple[Path, ...]
    most_bytes: int
    """Of an uploaded image."""
    levels: Levels | None = None
    """Of images of more than 8 bits; None: those beside the model, if they are there."""


class ModelFile(NamedTuple):
    """A model on disk, and what belongs to it."""

    file: Path
    labels: tuple[str, ...]
    """Its classes; empty where they are not known."""
    levels: Levels | None
    """Of images of more than 8 bits, if it was trained on such."""


def model_of(place: str) -> ModelFile:
    """An exported model, or the winner of a run: its directory, or its URI.

    It is quick, so that what is not there is told before a library is loaded. An exported model may have no classes.

    Raises:
        UserError: there is no such model.
    """
    if is_run := _is_run(place):
        paths = existing_run(place)
        data = read_study(paths).data
        found = ModelFile(candidate(paths).members[0].file, data.class_names, data.levels)
    else:
        file = Path(place).expanduser()
        found = ModelFile(file, read_labels(file), read_levels(file))
    file = found.file
    if not file.is_file():
        remedy = "it was removed" if is_run else "scripts/export.py writes one as .keras, and a run directory will do"
        raise UserError(f"{file}: no such model; {remedy}")
    if not is_zipfile(file):
        raise UserError(f"{file} is not a model that Keras can load: it is no .keras file, or not a whole one")
    return found


def served(model: str, samples: Path | None, most_bytes: int) -> Served:
    """Of an exported model, or of a run: its winner, with the images of the test split that the report shows.

    Raises:
        UserError: there is no such model.
    """
    chosen = model_of(model)
    own = _images(samples) if samples else ()
    if not _is_run(model):
        return Served(chosen.file.stem, chosen.file, chosen.labels, "", own, most_bytes, chosen.levels)
    paths = existing_run(model)
    test = read_test(paths)
    shown = [paths.examples / one.file for one in test.examples] if test else []
    told = f"Test accuracy {percent(test.evaluation.accuracy)}." if test else ""
    return Served(paths.name, chosen.file, chosen.labels, told, own or tuple(shown[::2]), most_bytes, chosen.levels)


def _is_run(place: str) -> bool:
    return is_uri(place) or Path(place).expanduser().is_dir()


def _images(folder: Path) -> tuple[Path, ...]:
    if not folder.is_dir():
        raise UserError(f"--samples {folder}: no such folder")
    return tuple(images_below(folder))[:SAMPLES]
