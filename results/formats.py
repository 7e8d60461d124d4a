"""The formats that a model is handed over in: how each is written, and how it is loaded and asked again."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from zipfile import is_zipfile

import numpy as np

from results.convertible import convertible
from results.inference import float32_policy, for_inference
from search_spaces.causes import cause, told
from search_spaces.errors import UserError

if TYPE_CHECKING:
    import keras

REPRESENTATIVE = 200
"""Training images from which the ranges of int8 are taken."""

BATCH = 32
"""Images at a time."""

USER_ERROR = 2
"""The exit status of a child process whose last line is what a user can put right."""

Classify = Callable[[np.ndarray], np.ndarray]
"""From uint8 images (n, side, side, 3) to probabilities (n, classes)."""

Write = Callable[[Path, Path, np.ndarray], None]
"""Of the .keras file, the path to write to, and training images."""


@dataclass(frozen=True)
class Format:
    """One format. Every one of them takes raw pixels (0..255) and gives probabilities."""

    name: str
    suffix: str
    """What follows the stem of the path to write; a SavedModel is a folder and has none."""
    write: Write
    load: Callable[[Path], Classify]
    packages: tuple[str, ...] = ()
    tolerance: float | None = 1e-3
    """The most that a probability may differ from the original's; None where it must be expected to."""


def named(names: Sequence[str]) -> list[Format]:
    """The formats of these names, `all` for every one.

    Raises:
        UserError: none, an unknown name, or one whose packages are missing.
    """
    wanted = list(FORMATS) if list(names) == ["all"] else list(dict.fromkeys(names))
    if not wanted:
        raise UserError(f"--formats: must be all, or some of {', '.join(FORMATS)}")
    for name in wanted:
        if name not in FORMATS:
            raise UserError(f"--formats {name}: must be all, or some of {', '.join(FORMATS)}")
        missing = [package for package in FORMATS[name].packages if find_spec(package) is None]
        if missing:
            raise UserError(f"--formats {name}: needs {', '.join(missing)}; pip install 'thaw-tuner[export]'")
    return [FORMATS[name] for name in wanted]


def in_float32(file: Path) -> keras.Model:
    """The model, computing in float32 whatever it was trained in, and giving a probability a class.

    So it answers the same everywhere. The file runs no code of its own: Keras's safe mode stays on.

    Raises:
        UserError: no such file, or one that Keras alone cannot load.
    """
    if not file.is_file():
        raise UserError(f"{file}: no such file; scripts/export.py writes a model as .keras")
    if not is_zipfile(file):
        raise UserError(f"{file} is not a model that Keras can load: it is no .keras file, or not a whole one")
    with float32_policy():
        return _loaded(file)


def _loaded(file: Path) -> keras.Model:
    import keras

    try:
        model = for_inference(keras.models.load_model(file, compile=False))
        several, shape = isinstance(model.input, list), model.input_shape
    except Exception as error:  # ValueError, OSError, KeyError, TypeError and more: unknown layers, damaged files
        raise UserError(f"{file} is not a model that Keras can load without other code: {cause(error)}") from error
    if several:  # as earlier runs saved it: callers would have to give and to take lists
        model = keras.Model(model.input[0], model.output[0])
        shape = model.input_shape
    if None in shape[1:]:
        raise UserError(f"{file} takes images of any size: build the model with an input of the images' shape")
    return _with_probabilities(model)


def _with_probabilities(model: keras.Model) -> keras.Model:
    """A model as trials save it has them; one of an earlier release or of another program may not."""
    from search_spaces.outputs import meaning_by_graph, with_probabilities

    return with_probabilities(model, meaning_by_graph(model))


def _save_keras(model: Path, out: Path, images: np.ndarray) -> None:
    in_float32(model).save(out)


def probabilities(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """(n, classes) of images of shape (n, side, side, 3)."""
    batches = range(0, len(images), BATCH)  # by hand, because `predict` takes 60 ms longer, for one image too
    return np.concatenate([model.predict_on_batch(images[begin : begin + BATCH]) for begin in batches])


def _load_keras(file: Path) -> Classify:
    return partial(probabilities, in_float32(file))


def _on_tensorflow(name: str, write: Write, model: Path, out: Path, images: np.ndarray) -> None:
    """Write a format that Keras (3.15) exports from TensorFlow; under another backend in a child process.

    A .keras file is the same for all backends, and TensorFlow is always installed.
    """
    import keras

    if keras.config.backend() == "tensorflow":
        write(model, out, images)
        return
    with TemporaryDirectory() as folder:
        given = Path(folder, "images.npy")
        np.save(given, _representative(images))
        command = [sys.executable, "-P", "-c", "from results.formats import write_in_child; write_in_child()"]
        done = subprocess.run(
            [*command, name, str(model), str(out), str(given)],
            env=os.environ | {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"},  # this process has the GPU
            capture_output=True, text=True,
        )  # fmt: skip
    print(done.stdout, done.stderr, sep="\n")
    if done.returncode:
        reason = next(reversed(done.stdout.strip().splitlines()), f"exit status {done.returncode}")
        if done.returncode == USER_ERROR:
            raise UserError(reason)
        raise UserError(f"--formats {name}: the model cannot be converted ({reason}); leave that format out")


def write_in_child() -> None:
    """Write one format, as `_on_tensorflow` asks for it."""
    name, model, out, images = sys.argv[1:]
    try:
        FORMATS[name].write(Path(model), Path(out), np.load(images))
    except Exception as error:
        traceback.print_exc()
        print(error if isinstance(error, UserError) else told(error))
        sys.exit(USER_ERROR if isinstance(error, UserError) else 1)


def _representative(images: np.ndarray) -> np.ndarray:
    return images[:: max(1, len(images) // REPRESENTATIVE)][:REPRESENTATIVE]


def _saved_model(model: Path, out: Path, images: np.ndarray) -> None:
    in_float32(model).export(out, format="tf_saved_model", verbose=False)


def _load_saved_model(folder: Path) -> Classify:
    import tensorflow as tf

    served = tf.saved_model.load(str(folder))
    return lambda images: np.asarray(served.serve(tf.constant(images, tf.float32)))


def _onnx(model: Path, out: Path, images: np.ndarray) -> None:
    loaded = convertible(in_float32(model))
    loaded(images[:1])  # Keras exports to ONNX only what was called
    loaded.export(out, format="onnx", verbose=False)


def _load_onnx(file: Path) -> Classify:
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    return lambda images: session.run(None, {given.name: images.astype(np.float32)})[0]


def _litert(model: Path, out: Path, images: np.ndarray) -> None:
    convertible(in_float32(model)).export(out, format="litert", verbose=False)


def _litert_int8(model: Path, out: Path, images: np.ndarray) -> None:
    """Weights and activations in int8, from the ranges that training images cause; pixels and probabilities stay."""
    import tensorflow as tf

    if not len(images):
        raise UserError("--formats litert-int8: needs training images, and those of the study are gone; leave it out")

    def representative() -> Iterator[list[np.ndarray]]:
        for image in _representative(images):
            yield [image[np.newaxis].astype(np.float32)]

    options = {"optimizations": [tf.lite.Optimize.DEFAULT], "representative_dataset": representative}
    convertible(in_float32(model)).export(out, format="litert", verbose=False, **options)


def _load_litert(file: Path) -> Classify:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(file))
    (given,), (found,) = interpreter.get_input_details(), interpreter.get_output_details()

    def classify(images: np.ndarray) -> np.ndarray:
        answers = []
        for image in images:  # its graph is of one image
            interpreter.set_tensor(given["index"], image[np.newaxis].astype(np.float32))
            interpreter.invoke()
            answers.append(interpreter.get_tensor(found["index"])[0])
        return np.array(answers)

    interpreter.resize_tensor_input(given["index"], [1, *given["shape"][1:]])
    interpreter.allocate_tensors()
    return classify


def _from_tensorflow(name: str, suffix: str, write: Write, load: Callable[[Path], Classify], *more: Any) -> Format:
    return Format(name, suffix, partial(_on_tensorflow, name, write), load, *more)


FORMATS = {
    each.name: each
    for each in (
        Format("keras", ".keras", _save_keras, _load_keras),
        _from_tensorflow("savedmodel", "", _saved_model, _load_saved_model, ("tensorflow",)),
        _from_tensorflow("onnx", ".onnx", _onnx, _load_onnx, ("onnx", "tf2onnx", "onnxruntime")),
        _from_tensorflow("litert", ".tflite", _litert, _load_litert, ("ai_edge_litert",)),
        _from_tensorflow("litert-int8", ".int8.tflite", _litert_int8, _load_litert, ("ai_edge_litert",), None),
    )
}
