"""The images that nothing was chosen by: opened for the winner of a study, which writes down that they were.

Training code cannot reach them: only `tuner.finalists` asks for them.
"""

import dataclasses
import datetime
import tempfile
from pathlib import Path

import numpy as np
import ray

from results.evaluation import evaluate
from results.examples import save_examples
from results.records import TestOpening, TestRecord, read_study, write
from search_spaces.errors import UserError
from tuner.config import StudyConfig
from tuner.trial.datasets import digits, is_archive, resize_all, three_way
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
    skipped: list[str] = []
    images, labels = load_test_split(config.data, study.data.image_size, config.seed, skipped)
    if not len(labels):
        raise UserError(f"{study.data.source}: has no test image that decodes")
    predicting = ray.remote(num_cpus=resources.cpus, num_gpus=min(resources.gpus, 1), max_calls=1)(_probabilities)
    try:
        probabilities = ray.get(predicting.remote(model.read_bytes(), images, resources))
    except UserError as error:  # Ray's words around it are a traceback
        raise UserError(str(getattr(error, "cause", error))) from error
    # Before anybody sees what it says, and not where there is nothing to see.
    opened = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    opening = TestOpening(opened, f"{model.relative_to(paths.root)}, the configuration of trial {trial}")
    write(paths.study, dataclasses.replace(study, test_openings=(*study.test_openings, opening)))
    found, examples = evaluate(labels, probabilities), save_examples(paths.examples, images, labels, probabilities)
    write(
        paths.test,
        TestRecord(
            opened,
            trial,
            str(model.relative_to(paths.root)),
            model.parent == paths.retrained.best,
            found,
            examples,
            tuple(skipped),
        ),
    )


def load_test_split(source: str, image_size: int, seed: int, skipped: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """The images as uint8 (n, image_size, image_size, 3), and labels as int64 (n,), of a source that `load` has loaded.

    Files that do not decode are left out and named in `skipped`.

    Raises:
        UserError: a folder that is no longer there, or is another one.
    """
    if source == "cifar10":
        import keras

        _, (images, labels) = keras.datasets.cifar10.load_data()
        return resize_all(images, image_size), labels.reshape(-1).astype(np.int64)
    if source == "digits":
        images, labels, names = digits(image_size)
        *_, test = three_way(labels, seed, names)
        return images[test], labels[test]
    if is_archive(place := Path(source).expanduser()):
        return load_test(place, image_size, seed)
    *_, files = splits(place, seed)
    return decode_all(files, image_size, strict=False, skipped=skipped)


def _probabilities(model: bytes, images: np.ndarray, resources: TrialResources) -> np.ndarray:
    """On whatever machine has room; the model's file may be out of its reach."""
    prepare_process(resources)
    from results.predictor import Predictor

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "model.keras")
        file.write_bytes(model)
        return Predictor(file).probabilities(images)
