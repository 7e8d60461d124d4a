"""A run's model, to be used elsewhere: in one or several formats, with labels and a model card beside it."""

import json
import shutil
import statistics
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from results.candidate import Candidate
from results.formats import FORMATS, Classify, Format
from results.labels import LEVELS, card_path, labels_path, levels_path
from results.model_card import card
from results.paths import RunPaths
from results.records import read_study
from results.whole_file import write_text, writing_to
from search_spaces.causes import told
from search_spaces.errors import UserError

COMPARED = 256
"""Images on which each format is compared with the original, at most."""
TIMED = 20
FORMAT_OF_RUNS = FORMATS["keras"]


@dataclass(frozen=True)
class Sample:
    """Images of a study, uint8 (n, side, side, 3): what formats are compared on, and what int8 is fitted to."""

    what: str
    """The images are."""
    images: np.ndarray
    labels: np.ndarray | None
    """None: these are not images that an accuracy could be told by."""
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
    """On the images that were compared; None where they have no labels."""
    compared_on: str = ""
    """How many images these are, and which."""


def export_model(
    paths: RunPaths, chosen: Candidate, out: Path, formats: Sequence[Format], sample: Sample
) -> list[Exported]:
    """Write the model beside `out` in each format, its labels and its card; each format is loaded and compared first.

    Models take raw pixels (0..255) of the study's image size, preprocessing is inside, and give a probability a class;
    none needs this project's code.

    Raises:
        UserError: a path cannot be written, or a format's predictions differ; then nothing has been written.
    """
    study = read_study(paths)
    picked = np.linspace(0, len(sample.images) - 1, min(COMPARED, len(sample.images))).astype(int)  # of all classes
    images, labels = sample.images[picked], None if sample.labels is None else sample.labels[picked]
    with writing_to(out):
        # Beside their places, so that they can be moved there; and all of them before the first one is.
        with TemporaryDirectory(prefix=f".{out.stem}-", dir=out.parent) as beside, _one_file(chosen) as model:
            expected = FORMAT_OF_RUNS.load(model)(images)
            written = []
            for one in formats:
                path = out.with_name(out.stem + one.suffix)
                _require_replaceable(path)
                with _failures(one):
                    one.write(model, Path(beside) / path.name, sample.training_images)
                    found = _compared(one, Path(beside) / path.name, path, images, labels, expected)
                written.append(replace(found, compared_on=f"{len(images)} {sample.what}"))
            for exported in written:
                _replace(Path(beside) / exported.path.name, exported.path)
        write_text(labels_path(out), json.dumps(list(study.data.class_names), indent=2, ensure_ascii=False) + "\n")
        levels_path(out).unlink(missing_ok=True)  # of another model that was there
        if study.data.levels:
            write_text(levels_path(out), LEVELS.dump_json(study.data.levels).decode() + "\n")
        write_text(card_path(out), card(out, study, chosen, written, sample.what))
    return written


@contextmanager
def _failures(one: Format) -> Iterator[None]:
    """Name the format that a converter cannot make of the model, or of which nothing comes that can be loaded."""
    try:
        yield
    except (UserError, OSError):
        raise
    except Exception as error:  # of TensorFlow, tf2onnx, onnxruntime and LiteRT
        traceback.print_exc()
        raise UserError(
            f"--formats {one.name}: the model cannot be converted ({told(error)}); leave that format out"
        ) from error


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
    accuracy = None if labels is None else float((found.argmax(axis=1) == labels).mean())
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


def _require_replaceable(path: Path) -> None:
    """A folder that is there must be a SavedModel itself."""
    if path.is_dir() and not (path / "saved_model.pb").is_file():
        raise UserError(f"{path}: is a folder that is no SavedModel; give another --out or remove it")


def _replace(temporary: Path, path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    temporary.replace(path)
