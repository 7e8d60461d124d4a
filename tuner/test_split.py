"""The images that nothing was chosen by: opened for the winner of a study, which writes down that they were.

Training code cannot reach them: only `tuner.finalists` asks for them.
"""

import dataclasses
import datetime
import tempfile
from collections.abc import Collection
from pathlib import Path

import numpy as np
import ray

from results.evaluation import evaluate
from results.examples import save_examples
from results.levels import Levels
from results.records import TestOpening, TestRecord, read_study, write
from results.wording import printable
from search_spaces.errors import UserError
from tuner.config import StudyConfig
from tuner.trial.datasets import digits, is_archive, resize_all, three_way
from tuner.trial.folder_layout import Files
from tuner.trial.image_archive import load_test
from tuner.trial.image_folder import decode_all, splits
from tuner.trial.resources import TrialResources, prepare_process


def open_test(config: StudyConfig, resources: TrialResources, trial: int, model: Path) -> None:
    """Compare the model that is handed over with the test split; `study.json` says from then on that this happened.

    Args:
        config: of the study.
        resources: to predict with.
        trial: of the search, whose configuration the model has.
        model: a file of the run: the search's own, a finalist's, or the retrained one.

    Raises:
        UserError: the test split or the model cannot be loaded; then it has not been opened.
    """
    paths, study = config.paths, read_study(config.paths)
    test = load_test_split(config.data, study.data.image_size, config.seed, config.leave_out, study.data.levels)
    if not len(test.labels):
        raise UserError(f"{study.data.source}: has no test image that decodes")
    predicting = ray.remote(num_cpus=resources.cpus, num_gpus=min(resources.gpus, 1), max_calls=1)(_probabilities)
    try:
        probabilities = ray.get(predicting.remote(model.read_bytes(), test.images, resources))
    except UserError as error:  # Ray's words around it are a traceback
        raise UserError(str(getattr(error, "cause", error))) from error
    # Before anybody sees what it says, and not where there is nothing to see.
    opened = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    opening = TestOpening(opened, f"{model.relative_to(paths.root)}, the configuration of trial {trial}")
    write(paths.study, dataclasses.replace(study, test_openings=(*study.test_openings, opening)))
    found = evaluate(test.labels, probabilities)
    examples = save_examples(paths.examples, test.images, test.labels, probabilities, test.files)
    write(
        paths.test,
        TestRecord(
            opened,
            trial,
            str(model.relative_to(paths.root)),
            model.parent == paths.retrained.best,
            found,
            examples,
            test.skipped,
        ),
    )


@dataclasses.dataclass(frozen=True)
class TestImages:
    """What nothing was chosen by: images as uint8 (n, side, side, 3), labels as int64 (n,)."""

    images: np.ndarray
    labels: np.ndarray
    files: tuple[str, ...] = ()
    """Of each image, from the folder on; empty where they are no files."""
    skipped: tuple[str, ...] = ()
    """Files that do not decode, each with the reason."""


def load_test_split(
    source: str, image_size: int, seed: int, leave_out: Collection[str] = (), levels: Levels | None = None
) -> TestImages:
    """Load the test images of a source that `load` has loaded with the same `leave_out`, and that has these `levels`.

    Raises:
        UserError: a folder that is no longer there, or is another one.
    """
    if source == "cifar10":
        import keras

        _, (images, labels) = keras.datasets.cifar10.load_data()
        return TestImages(resize_all(images, image_size), labels.reshape(-1).astype(np.int64))
    if source == "digits":
        images, labels, names = digits(image_size)
        *_, test = three_way(labels, seed, names)
        return TestImages(images[test], labels[test])
    if is_archive(place := Path(source).expanduser()):
        return TestImages(*load_test(place, image_size, seed))
    files = splits(place, seed, leave_out).test
    numbered = Files(files.paths, np.arange(len(files.paths)))  # which of them decode
    skipped: list[str] = []
    images, kept = decode_all(numbered, image_size, strict=False, skipped=skipped, levels=levels)
    names = tuple(printable(str(files.paths[position].relative_to(place))) for position in kept)
    return TestImages(images, files.labels[kept], names, tuple(map(printable, skipped)))


def _probabilities(model: bytes, images: np.ndarray, resources: TrialResources) -> np.ndarray:
    """On whatever machine has room; the model's file may be out of its reach."""
    prepare_process(resources)
    from results.predictor import Predictor

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "model.keras")
        file.write_bytes(model)
        return Predictor(file).probabilities(images)
