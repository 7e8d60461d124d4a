"""What is needed to serve a model: where it lies, its classes, what is known of it, images to try."""

from dataclasses import dataclass
from pathlib import Path

from results.candidate import candidate
from results.image_files import images_below
from results.labels import read_labels
from results.levels import Levels
from results.records import read_study
from results.remote import existing_run
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


def served(model: Path, samples: Path | None, most_bytes: int) -> Served:
    """Of an exported model, or of a run: its winner, with the images of the test split that the report shows.

    Raises:
        UserError: there is no such model.
    """
    if model.is_dir():
        paths = existing_run(model)
        study, chosen = read_study(paths), candidate(paths)
        test = chosen.test
        shown = [paths.examples / one.file for one in test.examples] if test else []
        return Served(
            study.name, chosen.members[0].file, study.data.class_names,
            f"Test accuracy {percent(test.evaluation.accuracy)}." if test else "",
            _images(samples) if samples else tuple(shown[::2]), most_bytes, study.data.levels,
        )  # fmt: skip
    return Served(model.stem, model, read_labels(model), "", _images(samples) if samples else (), most_bytes)


def _images(folder: Path) -> tuple[Path, ...]:
    if not folder.is_dir():
        raise UserError(f"--samples {folder}: no such folder")
    return tuple(images_below(folder))[:SAMPLES]
