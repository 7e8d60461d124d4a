"""A run's model, to be used elsewhere: in one or several formats, with labels and a model card beside it."""

import json
import os
import shutil
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from results.candidate import Candidate
from results.formats import FORMATS, Classify, Format
from results.labels import card_path, labels_path
from results.model_card import card
from results.paths import RunPaths
from results.records import read_study
from results.whole_file import write_text
from search_spaces.errors import UserError

COMPARED = 256
"""Images on which each format is compared with the original, at most."""
TIMED = 20
FORMAT_OF_RUNS = FORMATS["keras"]


@dataclass(frozen=True)
class Sample:
    """Images of a study, uint8 (n, side, side, 3): what formats are compared on, and what int8 is fitted to."""

    images: np.ndarray
    labels: np.ndarray | None
    """None: the study's images are gone, and `images` are random pixels."""
    training_images: np.ndarray
    """Empty when they are gone."""


@dataclass(frozen=True)
class Exported:
    """One format as it was written."""

    format: str
    path: Path
    size: int
    """Bytes."""
    latency: float
    """Milliseconds for one image alone, here: the median of several."""
    difference: float
    """The largest of a probability from the original's."""
    accuracy: float | None
    """On the images that were compared; None on random pixels."""


def export_model(
    paths: RunPaths, chosen: Candidate, out: Path, formats: Sequence[Format], sample: Sample
) -> list[Exported]:
    """Write the model beside `out` in each format, its labels and its card; each format is loaded and compared first.

    Models take raw pixels (0..255) of the study's image size, preprocessing is inside, and give a probability a class;
    none needs this project's code.

    Raises:
        UserError: a path cannot be written, or a format's predictions differ; the formats before it are there then.
    """
    study = read_study(paths)
    images = sample.images[:COMPARED]
    written = []
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with _one_file(chosen) as model:
            expected = FORMAT_OF_RUNS.load(model)(images)
            for one in formats:
                path = out.with_name(out.stem + one.suffix)
                temporary = path.with_name(f".{os.getpid()}-{path.name}")
                try:
                    one.write(model, temporary, sample.training_images)
                    written.append(_compared(one, temporary, path, images, sample.labels, expected))
                    _replace(temporary, path)
                finally:
                    _remove(temporary)
        write_text(labels_path(out), json.dumps(list(study.data.class_names), indent=2, ensure_ascii=False) + "\n")
        write_text(card_path(out), card(out, study, chosen, written))
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written ({error.strerror}); give another path") from error
    return written


@contextmanager
def _one_file(chosen: Candidate) -> Iterator[Path]:
    """Where the whole model lies, as .keras."""
    files = [member.file for member in chosen.members]
    if len(files) == 1:
        yield files[0]
        return
    from results.ensemble import save_average

    with TemporaryDirectory() as folder:
        save_average(files, Path(folder) / "ensemble.keras")
        yield Path(folder) / "ensemble.keras"


def _compared(
    one: Format, written: Path, path: Path, images: np.ndarray, labels: np.ndarray | None, expected: np.ndarray
) -> Exported:
    classify = one.load(written)
    found = classify(images)
    difference = float(np.abs(found - expected).max())
    if one.tolerance is not None and not difference <= one.tolerance:
        raise UserError(
            f"--formats {one.name}: its probabilities differ from the model's by up to {difference:.2g} on "
            f"{len(images)} images, more than {one.tolerance:g}; it is not written. Leave that format out"
        )
    accuracy = None if labels is None else float((found.argmax(axis=1) == labels[: len(images)]).mean())
    return Exported(one.name, path, _size(written), _latency(classify, images[:1]), difference, accuracy)


def _latency(classify: Classify, image: np.ndarray) -> float:
    seconds = []
    for _ in range(TIMED + 1):
        began = time.perf_counter()
        classify(image)
        seconds.append(time.perf_counter() - began)
    return 1000 * statistics.median(seconds[1:])  # the first one makes what is needed


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in (path.rglob("*") if path.is_dir() else (path,)) if file.is_file())


def _replace(temporary: Path, path: Path) -> None:
    """In its place, whole; a folder that is there must be a SavedModel itself."""
    if path.is_dir():
        if not (path / "saved_model.pb").is_file():
            raise UserError(f"{path}: is a folder that is no SavedModel; give another --out or remove it")
        shutil.rmtree(path)
    temporary.replace(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
