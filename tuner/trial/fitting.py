"""How a trial's model is fitted: in the batches of its seed, and from where its frozen prefix ends.

A space fits its model by calling `model.fit`, whoever wrote it; so that is where this steps in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import numpy as np

from search_spaces.mixing import MixedBatches
from tuner.trial import frozen_prefix
from tuner.trial.batches import Batches
from tuner.trial.course import Call, Course
from tuner.trial.feature_store import StoredArray
from tuner.trial.features import Features
from tuner.trial.frozen_prefix import Cut, FrozenPrefix
from tuner.trial.model_graph import ModelGraph, is_plain
from tuner.trial.substitutes import faster
from tuner.trial.traced import TracedModels


class Fitting:
    """Takes the place of a model's `fit`, with the same arguments; those that it does not know go to Keras's own.

    What trains is the part behind the frozen prefix, on stored features. Its layers are the model's own, and callbacks
    see the model and its optimizer, so nobody notices but the clock.

    Args:
        model: a plain functional or sequential model; of others only the order of their batches is ours.
        features: None trains the whole model.
        seed: of the batches.
        views: how many augmented views of each image are kept; 0 augments anew in each epoch, by the whole model.
        traced: the worker's, so that a graph like an earlier one is not traced again.
        course: keeps what is done, and knows what another process has done.
    """

    def __init__(
        self,
        model: keras.Model,
        features: Features | None,
        seed: int,
        views: int = 0,
        traced: TracedModels | None = None,
        course: Course | None = None,
    ) -> None:
        self._model, self._features, self._seed, self._views = model, features, seed, views
        self._traced = traced or TracedModels()
        self._course = course or Course(model)
        self._keras_fit = model.fit
        self._is_plain = is_plain(model)
        if self._is_plain or type(model).fit is keras.Model.fit:
            model.fit = self.fit

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        **options: Any,
    ) -> Any:
        """As `keras.Model.fit`."""
        given = keras.tree.flatten(callbacks or [])
        call = Call(options.pop("initial_epoch", 0), epochs)
        options["verbose"] = verbose

        def as_keras(watchers: Sequence[keras.callbacks.Callback], first: int) -> Any:
            place = {"epochs": epochs, "initial_epoch": first, "callbacks": list(watchers)}
            return self._keras_fit(x, y, batch_size, **place, **options)

        def in_batches(watchers: Sequence[keras.callbacks.Callback], first: int) -> Any:
            with ExitStack() as held:
                return self._fit(held, (x, y, batch_size or 32), range(first, epochs), watchers, options)

        if self._is_known(x, y, options):
            return self._course.fit(given, call, True, in_batches)
        return self._course.fit(given, call, isinstance(x, MixedBatches), as_keras)

    def _is_known(self, x: Any, y: Any, options: dict[str, Any]) -> bool:
        """Whether it can be fitted here as Keras would."""
        validation = options.get("validation_data")
        known = {"verbose", "validation_data", "validation_batch_size", "shuffle", "class_weight"}
        return (
            type(self._model).fit is keras.Model.fit
            and set(options) <= known
            and isinstance(options.get("shuffle", True), bool)
            and (validation is None or _is_pair(validation))
            and _is_pair((x, y))
        )

    def _fit(
        self,
        held: ExitStack,
        data: tuple[np.ndarray, np.ndarray, int],
        epochs: range,
        callbacks: Sequence[keras.callbacks.Callback],
        options: dict[str, Any],
    ) -> keras.callbacks.History:
        x, y, size = _in_floatx(data[0]), _in_floatx(data[1]), data[2]
        validation: Any = options.get("validation_data")
        if validation is not None:
            validation = tuple(map(_in_floatx, validation))
        first = epochs.start + self._course.shift
        trained, inputs, checked = self._source(held, x, validation[0] if validation else None, first)
        batches = Batches(inputs, y, size, self._seed if options.get("shuffle", True) else None, first)
        if self._is_plain:
            arrays = [*batches[0], *((checked, validation[1]) if validation else ())]
            trained = self._traced_alike(held, trained, arrays)
        if checked is not None:
            batch = options.get("validation_batch_size") or size
            validation = Batches(_always(checked), validation[1], batch, None).source()
        verbose, weights = options["verbose"], _of_all_classes(options.get("class_weight"), y)
        followed = keras.callbacks.CallbackList(
            [_Follow(self._model, batches, self._course.shift), *callbacks, _Stop(self._model, trained)],
            add_history=True, add_progbar=verbose != 0, verbose=verbose, epochs=epochs.stop, steps=len(batches),
            model=self._model,
        )  # fmt: skip
        trained.history = self._model.history
        return type(trained).fit(
            trained, batches.source(), epochs=epochs.stop, initial_epoch=epochs.start, shuffle=False, verbose=0,
            callbacks=followed, validation_data=validation, class_weight=weights,
        )  # fmt: skip

    def _traced_alike(self, held: ExitStack, part: keras.Model, arrays: Sequence[np.ndarray]) -> keras.Model:
        """A model that trains in the stead of `part`, on such arrays."""
        # TensorFlow's trainer would make the optimizer's and the metrics' variables while it traces, and trace again.
        part._symbolic_build(data_batch=tuple(arrays[:2]))
        looks = [[array.shape[1:], str(array.dtype)] for array in arrays]
        trained = held.enter_context(self._traced.like(part, self._model, looks))
        held.enter_context(_readable(self._model, trained))
        return trained

    def _source(
        self, held: ExitStack, x: np.ndarray, validation: np.ndarray | None, epoch: int
    ) -> tuple[keras.Model, Callable[[int], np.ndarray], np.ndarray | None]:
        """What to train, from the epoch to its inputs, and the validation inputs."""
        if not self._is_plain:
            return self._model, _always(x), validation
        found = self._on_features(held, x, validation, epoch)
        if found is not None:
            return found
        try:
            graph = ModelGraph(self._model)
        except ValueError:  # models inside it whose layers share a name: they cannot be taken apart
            return self._model, _always(x), validation
        if faster(graph.calls, graph.outputs):
            return self._compiled(graph.part(graph.input, substitutes=faster)), _always(x), validation
        return self._model, _always(x), validation

    def _on_features(
        self, held: ExitStack, x: np.ndarray, validation: np.ndarray | None, epoch: int
    ) -> tuple[keras.Model, Callable[[int], np.ndarray], np.ndarray | None] | None:
        if self._features is None:
            return None
        prefix = frozen_prefix.find(self._model, self._views > 0)
        if prefix is None:
            return None
        views = _Views(self._features, prefix, x, self._views if prefix.is_augmented else 0)
        held.callback(views.close)
        cut = views.begin(epoch)
        if cut is None:
            return None
        checked = None
        if validation is not None:
            stored = self._features.of(prefix, cut, validation, None)
            if stored is None:
                return None
            checked = held.enter_context(stored).values
        self._features.is_used = True
        return self._compiled(prefix.graph.part(cut.tensor, substitutes=faster)), views.of, checked

    def _compiled(self, part: keras.Model) -> keras.Model:
        """`part` with the model's loss and metrics, and with the model's very optimizer."""
        part.compile(**self._model._compile_config.config | {"optimizer": self._model.optimizer})
        return part


class _Views:
    """The features of the training images for each epoch: one view after another of their augmentation, or the one."""

    def __init__(self, features: Features, prefix: FrozenPrefix, images: np.ndarray, views: int) -> None:
        self._features, self._prefix, self._images, self._views = features, prefix, images, views
        self._stored: StoredArray | None = None
        self._view: int | None = None

    def begin(self, epoch: int) -> Cut | None:
        """Choose the cut, and get the features of the first epoch; None where that is not worth it, or cannot be."""
        self._view = self._number(epoch)
        self._cut = self._features.choose(self._prefix, self._images, self._view)
        if self._cut is not None:
            self._stored = self._features.of(self._prefix, self._cut, self._images, self._view)
        return self._cut if self._stored else None

    def of(self, epoch: int) -> np.ndarray:
        """The features of that epoch; those of the one before where a further view cannot be stored."""
        view = self._number(epoch)
        assert self._cut is not None
        assert self._stored is not None
        if view != self._view:
            following = self._features.of(self._prefix, self._cut, self._images, view)
            if following is not None:
                self._stored.close()
                self._stored, self._view = following, view
        return self._stored.values

    def _number(self, epoch: int) -> int | None:
        return epoch % self._views if self._views else None

    def close(self) -> None:
        """Let go of what is held."""
        if self._stored is not None:
            self._stored.close()


class _Follow(keras.callbacks.Callback):
    """Goes to the next epoch's batches, before any other callback."""

    def __init__(self, model: keras.Model, batches: Batches, shift: int) -> None:
        super().__init__()
        self._whole, self._batches, self._shift = model, batches, shift

    def on_train_begin(self, logs: Any = None) -> None:
        self._whole.stop_training = False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._batches.begin(epoch + self._shift)


class _Stop(keras.callbacks.Callback):
    """Stops what trains when another callback has stopped the model."""

    def __init__(self, model: keras.Model, trained: keras.Model) -> None:
        super().__init__()
        self._whole, self._trained = model, trained

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._trained.stop_training = self._whole.stop_training

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._trained.stop_training = self._whole.stop_training


@contextmanager
def _readable(model: keras.Model, trained: keras.Model) -> Iterator[None]:
    """Callbacks can read the model's weights between two steps: JAX keeps them with what trains, until it is asked."""
    if keras.backend.backend() != "jax" or trained is model:
        yield
        return

    def sync() -> None:
        trained.jax_state_sync()
        type(model).jax_state_sync(model)  # a callback may have had the model itself predict

    model.jax_state_sync = sync
    try:
        yield
    finally:
        del model.jax_state_sync


def _in_floatx(values: np.ndarray) -> np.ndarray:
    """As Keras has floats of arrays, whatever their precision."""
    is_other = values.dtype.kind == "f" and values.dtype != keras.config.floatx()
    return values.astype(keras.config.floatx()) if is_other else values


def _of_all_classes(weights: Mapping[int, float] | None, labels: np.ndarray) -> dict[int, float] | None:
    """Weights of classes, 1 where none is given: Keras (3.15) wants all of them with a data set of TensorFlow's."""
    if not weights:
        return None
    is_one_hot = labels.ndim > 1 and labels.shape[-1] > 1
    last = labels.shape[-1] - 1 if is_one_hot else int(labels.max())
    return {label: weights.get(label, 1.0) for label in range(last + 1)}


def _always(values: np.ndarray) -> Callable[[int], np.ndarray]:
    return lambda epoch: values


def _is_pair(data: Any) -> bool:
    return isinstance(data, tuple) and len(data) == 2 and all(isinstance(item, np.ndarray) for item in data)
