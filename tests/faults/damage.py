"""Damaged files, one after another, in a process of its own: python -m tests.faults.damage KIND COUNT SEED FOLDER

Whoever reads one must give a value or an error of ours, within seconds. The process ends with status 1 and names the
case if not; a library that crashes ends it by a signal.
"""

import json
import os
import random
import signal
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from results.best_models import BestModels
from results.images import Undecodable, decode, dimensions
from results.leaderboard import leaderboard
from results.records import TrialState, read_known, read_study, read_test, read_trials
from search_spaces.errors import UserError
from tests.results.written_run import a_trial, decide, write_run
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
    files = [folder / f"image.{ending}" for ending in ("png", "jpg", "gif", "webp", "bmp")]
    for file in files:
        Image.fromarray(pixels).save(file)

    def read(file: Path) -> object:
        dimensions(file)
        return decode(file, 16)

    return Kind(files, read, (Undecodable,))


def records(folder: Path) -> Kind:
    trials = [a_trial(0, [0.5, 0.6]), a_trial(1, [0.4], TrialState.STOPPED)]
    paths = write_run(folder / "one", trials)
    decide(paths, trials[:1])
    paths.known.write_text('{"trials": [' + paths.trial_record(0).read_text() + "]}")
    paths.best.mkdir()
    BestModels(paths.best).offer(0, {"epoch": 1.0, "val_accuracy": 0.5}, Path.touch)
    files = [paths.study, paths.trial_record(1), paths.test, paths.known, paths.best / "index.json"]

    def read(file: Path) -> object:
        study = read_study(paths)
        leaderboard(read_trials(paths), study.hyperparameters)
        return read_test(paths), read_known(paths), BestModels(paths.best).ranked(), StudyConfig.of(study, paths)

    return Kind(files, read)


def configurations(folder: Path) -> Kind:
    from search_spaces.configuration import complete
    from search_spaces.hyperparameter import Choices, Hyperparameter, Range

    space = (Hyperparameter("units", Range(1, 99, 1, whole=True), 3), Hyperparameter("kind", Choices(("a", "b")), "a"))
    file = folder / "configurations.json"
    file.write_text(json.dumps([{"units": 5, "kind": "a"}, {"kind": "b"}, {"units": 17}], indent=1))
    return Kind([file], lambda file: [complete(space, one) for one in read_configurations(file)])


def checkpoints(folder: Path) -> Kind:
    from tuner.trial.checkpoint import Checkpoint

    file = folder / "checkpoint.npz"
    variables = {0: np.ones((3, 4), "float32"), 2: np.zeros(5, "float32")}
    Checkpoint(2, 2, {"epoch": 2, "loss": 0.5}, variables, [np.array(3)], [{"wait": 1}]).write(file)
    return Kind([file], Checkpoint.read, (TrialFailure,))


def models(folder: Path) -> Kind:
    import keras

    from results.predictor import Predictor

    file = folder / "model.keras"
    pixels = keras.Input((8, 8, 3))
    keras.Model(pixels, keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(pixels))).save(file)
    return Kind([file], lambda file: Predictor(file).probabilities(np.zeros((1, 8, 8, 3), "uint8")))


def weights(folder: Path) -> Kind:
    import keras

    from search_spaces.backbones import without_weights

    file = folder / "mobilenet.weights.h5"
    keras.applications.MobileNet(include_top=False, weights=None, input_shape=(32, 32, 3)).save_weights(file)
    return Kind([file], lambda file: without_weights({"mobilenet": str(file)}))


KINDS: dict[str, Callable[[Path], Kind]] = {
    "images": images,
    "records": records,
    "configurations": configurations,
    "checkpoints": checkpoints,
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
