"""Damaged files, one after another, in a process of its own: python -m tests.faults.damage KIND COUNT SEED FOLDER

Whoever reads one must give a value or an error of ours, within seconds. The process ends with status 1 and names the
case if not; a library that crashes ends it by a signal.
"""

import datetime
import importlib.metadata
import io
import json
import os
import random
import shutil
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from PIL import Image

from results.best_models import BestModels
from results.images import Undecodable, decode, header
from results.leaderboard import leaderboard
from results.records import (
    KnownTrials,
    StudyRecord,
    TrialState,
    read_known,
    read_study,
    read_test,
    read_trials,
    write,
)
from search_spaces.errors import UserError
from search_spaces.hyperparameter import Choices, Hyperparameter, Range
from tests.results.written_run import a_trial, decide, write_run
from tuner.clock import StudyClock, searched
from tuner.config import StudyConfig, read_configurations
from tuner.trial.errors import TrialFailure

PATIENCE = 20
"""Seconds for one file."""


@dataclass
class Kind:
    """A kind of file that we read."""

    files: list[Path]
    """Whole ones; one of them is damaged at a time."""
    read: Callable[[Path], object]
    allowed: tuple[type[Exception], ...] = (UserError,)


def images(folder: Path) -> Kind:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8)
    files = [
        folder / f"image.{ending}"
        for ending in ("png", "jpg", "gif", "webp", "bmp", "tif", "jp2", "avif", "ppm", "tga", "ico")
    ]
    for file in files:
        Image.fromarray(pixels).save(file)

    def read(file: Path) -> object:
        header(file)
        return decode(file, 16)

    return Kind(files, read, (Undecodable,))


def records(folder: Path) -> Kind:
    """Whoever reports reads them, and whoever resumes."""
    from tuner.preparation import Preparation
    from tuner.resumption import digest, resumed, taken_up
    from tuner.warm_start import warm_start

    space = (
        Hyperparameter("optimizer", Choices(("adam", "sgd")), "adam"),
        Hyperparameter("learning_rate", Range(1e-4, 1e-1, scale="log"), 1e-3),
        Hyperparameter("units", Range(1, 99, 1, whole=True), 64),
    )
    trials = [a_trial(0, [0.5, 0.6]), a_trial(1, [0.4], TrialState.STOPPED), a_trial(2, [0.3], TrialState.RUNNING)]
    paths = write_run(folder / "one", trials)
    decide(paths, trials[:1])
    options = StudyConfig(space="custom_cnn", data="digits", max_epochs=4, storage=folder, name="one").options()
    versions = {"thaw-tuner": importlib.metadata.version("thaw-tuner"), "keras backend": "tensorflow"}
    first = ({"optimizer": "sgd", "learning_rate": 0.01, "units": 3},)
    study = read_study(paths)
    write(paths.study, replace(study, options=options, versions=versions, space=digest(space), first=first))
    write(paths.known, KnownTrials((replace(a_trial(0, [0.7]), trial=-1),)))
    paths.best.mkdir()
    BestModels(paths.best).offer(0, {"epoch": 1.0, "val_accuracy": 0.5}, Path.touch)
    files = [paths.study, paths.trial_record(1), paths.trial_record(2), paths.test, paths.known,
             paths.best / "trial-0000-epoch-01.json"]  # fmt: skip
    preparation = Preparation.__new__(Preparation)
    object.__setattr__(preparation, "backend", "tensorflow")

    def read(file: Path) -> object:
        leaderboard(read_trials(paths), read_study(paths).hyperparameters)
        config = resumed({"name": "one", "storage": folder})
        study = taken_up(config, preparation, space)
        resume(config, study, space)
        another = StudyConfig(space="custom_cnn", data="digits", storage=folder, warm_start=("one",))
        warm_start(another, space, study.data, io.StringIO())
        return read_test(paths), BestModels(paths.best).ranked()

    return Kind(files, read)


def resume(config: StudyConfig, study: StudyRecord, space: Sequence[Hyperparameter]) -> None:
    """All that learned from the trials is told of them, and is asked."""
    from tuner.journal import restore
    from tuner.proposal.deadline import Deadline
    from tuner.proposal.proposer import Proposer
    from tuner.proposal.suggestion import Suggestions
    from tuner.replay import attempts, replay
    from tuner.scheduler import create_scheduler, rungs
    from tuner.warm_start import tell

    before = read_trials(config.paths)
    proposer = Proposer(space, rungs(config), config.seed, config.limits().given())
    tell(proposer, read_known(config.paths))
    deadline = Deadline(space, rungs(config)[0], config.time_budget, 2, StudyClock(searched(before)))
    trials = replay(before, config.max_epochs, proposer, deadline, create_scheduler(config))
    began = datetime.datetime.fromisoformat(study.started)
    restore(optuna.create_study(direction="maximize"), Suggestions(space), trials, began)
    attempts(trials)
    proposer.propose(len(trials), deadline.allows)


def configurations(folder: Path) -> Kind:
    from search_spaces.configuration import complete

    space = (Hyperparameter("units", Range(1, 99, 1, whole=True), 3), Hyperparameter("kind", Choices(("a", "b")), "a"))
    file = folder / "configurations.json"
    file.write_text(json.dumps([{"units": 5, "kind": "a"}, {"kind": "b"}, {"units": 17}], indent=1))
    return Kind([file], lambda file: [complete(space, one) for one in read_configurations(file)])


def checkpoints(folder: Path) -> Kind:
    from tuner.trial.checkpoint import Checkpoint

    file = folder / "checkpoint.npz"
    variables = {0: np.ones((3, 4), "float32"), 2: np.zeros(5, "float32")}
    calls = [{"first": 0, "last": 5, "logs": [{"loss": 0.7}, {"loss": 0.5}]}]
    results = [{"epoch": 1, "loss": 0.7}, {"epoch": 2, "loss": 0.5}]
    Checkpoint(2, results, calls, variables, [np.array(3)], [{"array": 0}], [np.ones(2)]).write(file)
    return Kind([file], Checkpoint.read, (TrialFailure,))


def archives(folder: Path) -> Kind:
    """As a search reads them, and whoever opens the test split."""
    from tuner.trial.image_archive import Archive, load_archive, load_test
    from tuner.trial.image_arrays import Labelled

    labels = np.arange(40) % 2
    own = Labelled(np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8), labels)
    files = [folder / name for name in ("whole.npz", "drawn.npz")]
    Archive(own, own, own, ("cat", "dog")).write(files[0])
    Archive(own, None, None, ("cat", "dog")).write(files[1])
    return Kind(files, lambda file: (load_archive(file, 16, 0), load_test(file, 16, 0)))


def models(folder: Path) -> Kind:
    import keras

    from results.predictor import Predictor

    file = folder / "model.keras"
    pixels = keras.Input((8, 8, 3))
    keras.Model(pixels, keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(pixels))).save(file)
    return Kind([file], lambda file: Predictor(file).probabilities(np.zeros((1, 8, 8, 3), "uint8")))


def weights(folder: Path) -> Kind:
    """As a search reads them before its first trial; the network is built once, because that takes most of the time."""
    import keras

    from search_spaces import cifar_cnn
    from search_spaces.backbones import without_weights

    mobilenet = keras.applications.MobileNet(include_top=False, weights=None, input_shape=(32, 32, 3))

    def build(include_top: bool, weights: str, input_tensor: object) -> keras.Model:
        mobilenet.load_weights(weights)
        return mobilenet

    keras.applications.MobileNet = build
    file, own = folder / "mobilenet.weights.h5", folder / "cifar_cnn.npz"
    mobilenet.save_weights(file)
    for source in (cifar_cnn.BUNDLED, cifar_cnn.BUNDLED.with_suffix(".json")):
        shutil.copy(source, own.with_suffix(source.suffix))

    def read(damaged: Path) -> object:
        return without_weights({"mobilenet": str(file)} if damaged == file else {"cifar_cnn": str(own)})

    return Kind([file, file, file, own, own.with_suffix(".json")], read)


KINDS: dict[str, Callable[[Path], Kind]] = {
    "images": images,
    "records": records,
    "configurations": configurations,
    "checkpoints": checkpoints,
    "archives": archives,
    "models": models,
    "weights": weights,
}


def damaged(whole: bytes, rng: random.Random) -> bytes:
    """Cut short, bits turned, pieces lost, doubled, blanked or strange: one to three such things."""
    found = bytearray(whole)
    for _ in range(rng.randint(1, 3)):
        size = len(found)
        begin = rng.randrange(size + 1)
        # Half of all damage to the first kilobyte, where formats have what matters.
        begin = begin if rng.random() < 0.5 else min(begin, rng.randrange(1024))
        length = rng.choice((1, 1, 4, 16, 200))
        match rng.randrange(6):
            case 0:
                del found[begin:]
            case 1:
                for place in range(begin, min(begin + length, size)):
                    found[place] ^= 1 << rng.randrange(8)
            case 2:
                del found[begin : begin + length]
            case 3:
                found[begin:begin] = found[begin : begin + length]
            case 4:
                found[begin : begin + length] = bytes(len(found[begin : begin + length]))
            case 5:
                pieces = (b"null", b"-1", b"1e999", b'"x"', b"[]", b"{}", b"NaN", b"../", rng.randbytes(length))
                found[begin : begin + length] = rng.choice(pieces)
    return bytes(found)


def _give_up(*signalled: object) -> None:
    raise TimeoutError(f"takes longer than {PATIENCE} s")


def main(kind: str, count: int, seed: int, folder: Path) -> None:
    """Damage and read."""
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    chosen = KINDS[kind](folder)
    wholes = [file.read_bytes() for file in chosen.files]
    for file in chosen.files:
        chosen.read(file)
    refused = 0
    signal.signal(signal.SIGALRM, _give_up)
    for number in range(count):
        rng = random.Random(f"{seed} {number}")
        place = number % len(wholes)
        file, whole = chosen.files[place], wholes[place]
        file.write_bytes(damaged(whole, rng))
        (folder / "case").write_text(f"{number} {file.name}")
        signal.alarm(PATIENCE)
        try:
            chosen.read(file)
        except chosen.allowed:
            refused += 1
        except BaseException as error:
            signal.alarm(0)
            print(f"case {number} of seed {seed}, {file.name}: {type(error).__name__}: {error}", file=sys.stderr)
            raise
        signal.alarm(0)
        file.write_bytes(whole)
    print(f"{kind}: {count} damaged files, {refused} refused, {count - refused} read")


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    arguments: Any = sys.argv[1:]
    main(arguments[0], int(arguments[1]), int(arguments[2]), Path(arguments[3]))
