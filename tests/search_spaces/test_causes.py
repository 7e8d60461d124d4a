"""Real exceptions of the libraries: the sentence that says why is found, wherever it stands."""

import io
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image
from ray import exceptions as ray_exceptions
from ray.core.generated.common_pb2 import ActorDiedErrorContext

from search_spaces.causes import MOST, cause, cause_in, told

IS_TENSORFLOW = keras.config.backend() == "tensorflow"
tensorflows = pytest.mark.skipif(not IS_TENSORFLOW, reason="how TensorFlow words it")


def raised(act: Callable[[], object]) -> BaseException:
    try:
        act()
    except Exception as error:
        return error
    pytest.fail("nothing is raised")


class Wrong(layers.Layer):
    """Multiplies what does not fit."""

    def call(self, x: Any) -> Any:
        return keras.ops.matmul(x, keras.ops.ones((7, 2)))


class Inner(keras.Model):
    """Calls it two layers deep."""

    def __init__(self, units: int = 3, image: Any = None) -> None:
        super().__init__()
        self.body, self.wrong = keras.Sequential([layers.Dense(units)]), Wrong()

    def call(self, x: Any) -> Any:
        return self.wrong(self.body(x))


class Plain(keras.Model):
    def __init__(self, units: int) -> None:
        super().__init__()
        self.head = layers.Dense(units)

    def call(self, x: Any) -> Any:
        return self.head(x)


def sequential(*of: layers.Layer, shape: tuple[int, ...] = (4, 4, 3)) -> keras.Sequential:
    return keras.Sequential([keras.Input(shape), *of])


KERAS: dict[str, tuple[Callable[[], object], str]] = {
    "pooling": (lambda: sequential(layers.MaxPooling2D(8)), "ValueError: Computed output size would be zero or neg"),
    "convolution": (lambda: sequential(layers.Conv2D(3, 8)), "ValueError: Computed output size would be zero or neg"),
    "reshape": (lambda: sequential(layers.Reshape((5, 5))), "ValueError: The total size of the tensor must be unch"),
    "another size": (
        lambda: sequential(layers.Flatten(), layers.Dense(2))(np.zeros((2, 5, 5, 3), "float32")),
        "ValueError: Input 0 with name 'None' of layer 'dense",
    ),
    "loss": (
        lambda: fitted("categorical_crossentropy", np.zeros((4, 5))),
        "ValueError: Arguments `target` and `output` must have the same shape. Received: target.shape=",
    ),
    "unknown loss": (lambda: fitted("nope", np.zeros((4, 3))), "ValueError: Could not interpret loss identifier: nope"),
    "add": (
        lambda: layers.Add()([keras.Input((4, 4, 3)), keras.Input((2, 2, 5))]),
        "ValueError: Inputs have incompatible shapes. Received shapes (4, 4, 3) and (2, 2, 5)",
    ),
    "unknown argument": (
        lambda: layers.Dense.from_config({"units": 3, "nope": 1}),
        "TypeError: Unrecognized keyword arguments passed to Dense: {'nope': 1}",
    ),
}


def fitted(loss: str, targets: np.ndarray) -> None:
    model = sequential(layers.Dense(3), shape=(4,))
    model.compile("sgd", loss)
    model.fit(np.zeros((4, 4)), targets, verbose=0)


@pytest.mark.parametrize("case", KERAS)
def test_kerases_reason_stands_behind_the_layers_that_were_called(case: str) -> None:
    act, expected = KERAS[case]
    assert told(raised(act)).startswith(expected)


def test_an_error_in_a_users_own_layer_is_told_and_not_the_layers_around_it() -> None:
    said = cause(raised(lambda: Inner()(np.zeros((2, 4), "float32"))))
    assert "7" in said
    assert "Matrix size-incompatible" in said or "contracting dimensions" in said
    assert "Exception encountered" not in said
    assert "function_node" not in said


def test_a_model_that_cannot_be_saved_or_loaded_says_why(tmp_path: Path) -> None:
    one = Plain(3)
    one(np.zeros((2, 4), "float32"))
    assert cause(raised(lambda: one.save(tmp_path / "one.keras"))) == (
        "Object Plain was created by passing non-serializable argument values in `__init__()`, and therefore the "
        "object must override `get_config()` in order to be serializable. Please implement `get_config()`."
    )
    sequential(layers.Lambda(lambda x: x)).save(tmp_path / "lambda.keras")
    assert cause(raised(lambda: keras.models.load_model(tmp_path / "lambda.keras"))).startswith(
        "Requested the deserialization of a `Lambda` layer whose `function` is a Python lambda."
    )
    (tmp_path / "none.keras").write_text("no model")
    assert cause(raised(lambda: keras.models.load_model(tmp_path / "none.keras"))).startswith("File not found")


def test_a_class_that_keras_does_not_know_is_named(tmp_path: Path) -> None:
    class Unregistered(layers.Layer):
        def call(self, x: Any) -> Any:
            return x

    sequential(Unregistered()).save(tmp_path / "own.keras")
    said = cause(raised(lambda: keras.models.load_model(tmp_path / "own.keras")))
    assert said.startswith("Could not locate class 'Unregistered'")
    assert "Full object config" not in said


def test_weights_of_another_model_say_the_shapes(tmp_path: Path) -> None:
    sequential(layers.Dense(3), shape=(4,)).save_weights(tmp_path / "w.weights.h5")
    said = cause(raised(lambda: sequential(layers.Dense(3), shape=(5,)).load_weights(tmp_path / "w.weights.h5")))
    assert "variable.shape=(5, 3), Received: value.shape=(4, 3)" in said
    assert "[[" not in said


@tensorflows
def test_tensorflows_reason_stands_behind_the_nodes_of_its_graph() -> None:
    said = told(raised(lambda: fitted("sparse_categorical_crossentropy", np.array([0, 1, 2, 7]))))
    assert said.startswith(
        "InvalidArgumentError: Received a label value of 7 which is outside the valid range of [0, 3)"
    )
    assert "node" not in said


@tensorflows
def test_tensorflows_own_functions_are_told_without_their_names_in_the_runtime() -> None:
    import tensorflow as tf

    assert told(raised(lambda: tf.gather([1, 2], 5))) == "InvalidArgumentError: indices = 5 is not in [0, 2)"

    @tf.function
    def traced(x: Any) -> Any:
        raise ValueError("a plain reason")

    assert told(raised(lambda: traced(tf.ones(2)))) == "ValueError: a plain reason"


def test_jaxs_reason_is_its_first_line() -> None:
    jax = pytest.importorskip("jax")
    said = told(raised(lambda: jax.numpy.ones((2, 3)) @ jax.numpy.ones((2, 3))))
    assert said.startswith("TypeError: dot_general requires contracting dimensions to have the same shape")
    branching = jax.jit(lambda x: x if x.sum() > 0 else -x)
    said = told(raised(lambda: branching(np.ones(2))))
    assert said == "TracerBoolConversionError: Attempted boolean conversion of traced array with shape bool[]."


def failed() -> None:
    raise ValueError("the weights are of another model\nand more")


def task_error(is_known: bool) -> ray_exceptions.RayTaskError:
    try:
        failed()
    except ValueError as error:
        text, of = traceback.format_exc(), error
    found = ray_exceptions.RayTaskError("step", text, of, proctitle="ray::WarmTrial.step()", pid=5, ip="10.0.0.1")
    if not is_known:  # it could not be unpickled here
        found.cause = None
    return found


def test_rays_reason_is_the_exception_of_the_remote_traceback() -> None:
    for one in (task_error(True), task_error(True).as_instanceof_cause()):
        assert told(one) == "ValueError: the weights are of another model"
    for one in (task_error(False), ray_exceptions.ActorDiedError(task_error(True))):
        assert cause(one) == "ValueError: the weights are of another model"
    assert cause_in(str(task_error(True))) == "ValueError: the weights are of another model"


def test_a_dead_actor_says_what_its_process_died_of() -> None:
    died = "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR"
    context = ActorDiedErrorContext(error_message=died, class_name="WarmTrial", actor_id=b"1" * 16, pid=3)
    assert told(ray_exceptions.ActorDiedError(context)) == f"ActorDiedError: {died}"
    lost = ray_exceptions.ObjectLostError("ffff", None, "x.py:3")
    assert cause(lost).startswith("All copies of ffff have been lost due to node failure.")
    assert told(ray_exceptions.RuntimeEnvSetupError("pip failed")) == "RuntimeEnvSetupError: pip failed"


def test_pillows_reason_is_its_first_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cause(raised(lambda: Image.open(io.BytesIO(b"no image")))).startswith("cannot identify image file")
    whole = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 50, 3), np.uint8)).save(whole, "JPEG")
    cut = io.BytesIO(whole.getvalue()[:700])
    assert told(raised(lambda: Image.open(cut).load())).startswith("OSError: image file is truncated")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert cause(raised(lambda: Image.open(whole).load())).startswith("Image size (2500 pixels) exceeds limit of 20")


@pytest.mark.parametrize("error", [KeyError(), ValueError(""), TypeError("\n \n"), MemoryError()])
def test_an_error_without_words_is_its_kind(error: Exception) -> None:
    assert cause(error) == told(error) == type(error).__name__


def test_a_long_one_is_cut_at_a_word() -> None:
    said = cause(ValueError("word " * 200))
    assert len(said) <= MOST
    assert said.endswith("word ...")
