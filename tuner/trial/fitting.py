"""How a trial's model is fitted: in the batches of its seed, and from where its frozen prefix ends.

A space fits its model by calling `model.fit`, whoever wrote it; so that is where this steps in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import numpy as np

from tuner.trial import frozen_prefix
from tuner.trial.batches import Batches
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
        model: a plain functional or sequential model; others are left as they are.
        features: None trains the whole model.
        seed: of the batches.
        views: how many augmented views of each image are kept; 0 augments anew in each epoch, by the whole model.
        traced: the worker's, so that a graph like an earlier one is not traced again.
    """

    def __init__(
        self,
        model: keras.Model,
        features: Features | None,
        seed: int,
        views: int = 0,
        traced: TracedModels | None = None,
    ) -> None:
        self._model, self._features, self._seed, self._views = model, features, seed, views
        self._traced = traced or TracedModels()
        self._keras_fit = model.fit
        self.watchers: list[keras.callbacks.Callback] = []
        """The callbacks of the latest `fit`."""
        self.last_epoch = 0
        """The epoch that it ends after at the latest."""
        self._is_plain = is_plain(model)
        if self._is_plain or type(model).fit is keras.Model.fit:
            model.fit = self.fit

    def fit(self, x: Any = None, y: Any = None, batch_size: int | None = None, epochs: int = 1, **options: Any) -> Any:
        """As `keras.Model.fit`."""
        self.watchers, self.last_epoch = keras.tree.flatten(options.get("callbacks") or []), epochs
        given = {"x": x, "y": y, "batch_size": batch_size, "epochs": epochs, **options}
        known = {"verbose", "callbacks", "validation_data", "initial_epoch", "validation_batch_size"}
        if not (self._is_plain and set(options) <= known and isinstance(x, np.ndarray) and isinstance(y, np.ndarray)):
            return self._keras_fit(**given)
        validation = options.get("validation_data")
        if validation is not None and not _is_pair(validation):
            return self._keras_fit(**given)
        with ExitStack() as held:
            return self._fit(held, x, y, batch_size or 32, epochs, options)

    def _fit(
        self, held: ExitStack, x: np.ndarray, y: np.ndarray, size: int, epochs: int, options: dict[str, Any]
    ) -> keras.callbacks.History:
        first: int = options.get("initial_epoch", 0)
        validation: Any = options.get("validation_data")
        trained, inputs, checked = self._source(held, x, validation[0] if validation else None, first)
        batches = Batches(inputs, y, size, self._seed, first)
        # TensorFlow's trainer would make the optimizer's and the metrics' variables while it traces, and trace again.
        trained._symbolic_build(data_batch=batches[0])
        arrays = [*batches[0], *(() if checked is None else (checked, validation[1]))]
        looks = [[array.shape[1:], str(array.dtype)] for array in arrays]
        trained = held.enter_context(self._traced.like(trained, self._model, looks))
        held.enter_context(_readable(self._model, trained))
        if checked is not None:
            batch = options.get("validation_batch_size") or size
            validation = Batches(_always(checked), validation[1], batch, None).source()
        verbose = options.get("verbose", "auto")
        given = keras.tree.flatten(options.get("callbacks") or [])
        callbacks = keras.callbacks.CallbackList(
            [_Follow(self._model, batches), *given, _Stop(self._model, trained)],
            add_history=True, add_progbar=verbose != 0, verbose=verbose, epochs=epochs, steps=len(batches),
            model=self._model,
        )  # fmt: skip
        trained.history = self._model.history
        return type(trained).fit(
            trained, batches.source(), epochs=epochs, initial_epoch=first, shuffle=False, verbose=0,
            callbacks=callbacks, validation_data=validation,
        )  # fmt: skip

    def _source(
        self, held: ExitStack, x: np.ndarray, validation: np.ndarray | None, epoch: int
    ) -> tuple[keras.Model, Callable[[int], np.ndarray], np.ndarray | None]:
        """What to train, from the epoch to its inputs, and the validation inputs."""
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

    def __init__(self, model: keras.Model, batches: Batches) -> None:
        super().__init__()
        self._whole, self._batches = model, batches

    def on_train_begin(self, logs: Any = None) -> None:
        self._whole.stop_training = False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._batches.begin(epoch)


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


def _always(values: np.ndarray) -> Callable[[int], np.ndarray]:
    return lambda epoch: values


def _is_pair(data: Any) -> bool:
    return isinstance(data, tuple) and len(data) == 2 and all(isinstance(item, np.ndarray) for item in data)
