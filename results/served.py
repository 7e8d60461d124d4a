"""What is needed to use a model: where it lies, its classes, what is known of it, images to try."""

from dataclasses import dataclass
from pathlib import Path
from zipfile import is_zipfile

from results.candidate import candidate
from results.images import SUFFIXES
from results.labels import read_labels
from results.records import read_study
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


def model_of(place: str) -> tuple[Path, tuple[str, ...]]:
    """The file and the classes of an exported model, or of the winner of a run: its directory, or its URI.

    It is quick, so that what is not there is told before a library is loaded. An exported model may have no classes.

    Raises:
        UserError: there is no such model.
    """
    if is_run := _is_run(place):
        paths = existing_run(place)
        file, labels = candidate(paths).members[0].file, read_study(paths).data.class_names
    else:
        file = Path(place).expanduser()
        labels = read_labels(file)
    if not file.is_file():
        remedy = "it was removed" if is_run else "scripts/export.py writes one as .keras, and a run directory will do"
        raise UserError(f"{file}: no such model; {remedy}")
    if not is_zipfile(file):
        raise UserError(f"{file} is not a model that Keras can load: it is no .keras file, or not a whole one")
    return file, labels


def served(model: str, samples: Path | None, most_bytes: int) -> Served:
    """Of an exported model, or of a run: its winner, with the images of the test split that the report shows.

    Raises:
        UserError: there is no such model.
    """
    file, labels = model_of(model)
    own = _images(samples) if samples else ()
    if not _is_run(model):
        return Served(file.stem, file, labels, "", own, most_bytes)
    paths = existing_run(model)
    test = candidate(paths).test
    shown = [paths.examples / one.file for one in test.examples] if test else []
    told = f"Test accuracy {percent(test.evaluation.accuracy)}." if test else ""
    return Served(paths.name, file, labels, told, own or tuple(shown[::2]), most_bytes)


def _is_run(place: str) -> bool:
    return is_uri(place) or Path(place).expanduser().is_dir()


def _images(folder: Path) -> tuple[Path, ...]:
    if not folder.is_dir():
        raise UserError(f"--samples {folder}: no such folder")
    return tuple(file for file in sorted(folder.iterdir()) if file.suffix.lower() in SUFFIXES)[:SAMPLES]
