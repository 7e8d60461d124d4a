"""The course of a space's `fit`: what it has done so far, and how another process comes to the same point.

A `fit` is anyone's code: it may compile the model again, call `model.fit` many times and hang callbacks of its own into
it. So to go on it is run from its beginning, and the epochs that are done are not trained again: callbacks are told
what they were told then. Then weights, optimizer and what else only training can tell are put into the state of the
checkpoint. Whoever asks on the way for a weight that only training could tell cannot be answered: then the trial begins
anew, as it does wherever it would not end up the same.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import keras
import numpy as np
from keras.callbacks import Callback, EarlyStopping

from tuner.trial.checkpoint import Changes, Checkpoint
from tuner.trial.state import PLAIN, Unpackable, packed, state_of, unpacked

TOLD_AGAIN = ("on_train_begin", "on_epoch_begin", "on_epoch_end", "on_train_end")
HOOKS = [name for name in vars(Callback) if name.startswith("on_") and name not in TOLD_AGAIN]
"""What happens within an epoch, and so is not told again."""

Train = Callable[[Sequence[Callback], int], keras.callbacks.History]
"""Train with these callbacks, from that epoch on."""


class CannotReplay(BaseException):
    """This `fit` cannot be brought to where its checkpoint is. No `except Exception` of its author holds it."""


class Report(Callback):
    """Says when an epoch has ended, whoever calls it.

    Args:
        tell: takes the model that was trained, if it is known, and the epoch's metrics.
    """

    def __init__(self, tell: Callable[[keras.Model | None, Mapping[str, Any]], None]) -> None:
        super().__init__()
        self.tell = tell
        self.is_called = False
        """Whether anyone but a `Course` has called it, so that nobody knows what was done."""

    def __deepcopy__(self, memo: Any) -> Report:
        return self

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self.is_called = True
        self.tell(self.model, dict(logs or {}))


@dataclass
class Call:
    """One `model.fit`."""

    first: int
    """Keras's number of its first epoch."""
    last: int
    """How many epochs there are when it ends, if nothing stops it before."""
    params: dict[str, Any] = field(default_factory=dict)
    """What Keras tells its callbacks of it."""
    logs: list[dict[str, Any]] = field(default_factory=list)
    """What Keras said of each of its epochs."""
    is_stopped: bool = False

    @property
    def position(self) -> int:
        """Keras's number of the next epoch."""
        return self.first + len(self.logs)

    @property
    def is_over(self) -> bool:
        """Whether no epoch follows."""
        return self.is_stopped or self.position >= self.last


class Course:
    """What the `fit` of a space has done with its model.

    Args:
        model: as it was built.
        checkpoint: of the same `fit` in another process, to go on from.
        arrived: called when the `fit` has come to where the checkpoint is.
    """

    def __init__(
        self, model: keras.Model, checkpoint: Checkpoint | None = None, arrived: Callable[[], None] = lambda: None
    ) -> None:
        self._model, self._checkpoint, self._arrived = model, checkpoint, arrived
        self.changes = Changes(model)
        self.obstacle = ""
        """Why another process could not go on, if so."""
        self.observers: list[Callback] = []
        """Of ours: they see each step that is trained, and another process does not go on with them."""
        self._calls: list[Call] = []
        self._watchers: Sequence[Callback] = ()
        self._done = [Call(**call) for call in checkpoint.calls] if checkpoint else []
        self._guard = _Guard()

    @contextmanager
    def begun(self) -> Iterator[None]:
        """Run the space's `fit` inside."""
        if self._checkpoint is None:
            yield
            return
        with self._guard.begun():
            yield

    def fit(self, callbacks: Sequence[Callback], call: Call, is_ordered: bool, train: Train) -> Any:
        """Do a `model.fit`: by `train`, or by telling `callbacks` again what they were told.

        Args:
            callbacks: the user's; a `Report` among them is told last of all.
            call: of which epochs.
            is_ordered: whether what it trains on follows from the seed and the epoch's number.
            train: trains.
        """
        watchers = [one for one in callbacks if not isinstance(one, Report)]
        report = next((one for one in callbacks if isinstance(one, Report)), None)
        if not any(isinstance(one, keras.callbacks.History) for one in watchers):
            watchers.append(keras.callbacks.History())
        with self._guard.switched(False):
            call = self._entered(call, watchers, is_ordered)
            if self._checkpoint is not None:
                self._guard.forbid([*self._model.variables, *self._optimizer_state()])
                if call.is_over:
                    return self._told_again(call, watchers)
                self.changes.restore(self._checkpoint.variables or {})
            around = _Observed(self, report is not None), _Last(self, call, watchers, report)
            return train([_First(self, call), *watchers, *around], call.position)

    @property
    def shift(self) -> int:
        """By how much more epochs there have been than Keras's number of one says: a loop may call each the first."""
        *before, latest = self._calls
        return max(0, sum(len(call.logs) for call in before) - latest.first)

    def checkpoint(self, epoch: int, results: Sequence[Mapping[str, Any]]) -> Checkpoint:
        """Return what it takes to go on after the latest epoch, which is the trial's `epoch`."""
        if not self._calls:
            self._hinder("its fit() trains by other means than model.fit()")
        if self.changes.is_of_other_variables:
            self._hinder("its fit() gives the model other layers")
        arrays: list[np.ndarray] = []
        try:
            states = [] if self.obstacle else [self._state(one, arrays) for one in self._watchers]
        except Unpackable as error:
            self._hinder(f"{error}, which cannot be written down")
        if self.obstacle:
            return Checkpoint(epoch, results, obstacle=self.obstacle)
        optimizer = [np.asarray(variable) for variable in self._model.optimizer.variables]
        calls = [asdict(call) for call in self._calls]
        return Checkpoint(epoch, results, calls, self.changes.found(), optimizer, states, arrays)

    def _entered(self, call: Call, watchers: Sequence[Callback], is_ordered: bool) -> Call:
        """Keep a further call; of one that the checkpoint knows, as it knows it."""
        if not is_ordered:
            self._hinder("its fit() gives model.fit() images whose order does not follow from the seed")
        if self._calls and not self._calls[-1].is_over:
            self._hinder("a model.fit() of it was broken off")
        if any(_has_hooks(one) and one not in watchers for one in self._watchers):
            self._hinder("a callback of an earlier model.fit() counts batches")
        number, self._watchers = len(self._calls), watchers
        if self._checkpoint is not None:
            done = self._done[number]
            if (call.first, call.last) != (done.first, done.last) or not (done.is_over or done is self._done[-1]):
                raise CannotReplay("its fit() does not do the same again")
            call = done
        self._calls.append(call)
        return call

    def _hinder(self, reason: str) -> None:
        self.obstacle = self.obstacle or reason

    def _optimizer_state(self) -> list[keras.Variable]:
        """Without the rates, which callbacks set."""
        found = getattr(self._model.optimizer, "variables", [])
        return [variable for variable in found if variable.name != "learning_rate"]

    def _told_again(self, call: Call, watchers: Sequence[Callback]) -> Any:
        """A call that is over."""
        model = self._model
        model.stop_training = False
        for one in watchers:
            one.set_params(call.params)
            one.set_model(model)
        model.history = next(one for one in watchers if isinstance(one, keras.callbacks.History))
        with self._guard.switched(True):
            for one in watchers:
                one.on_train_begin({})
        self._tell_epochs(call, watchers)
        if call is self._done[-1]:
            self._arrive(watchers)
            model.optimizer.finalize_variable_values(model.trainable_weights)
        for one in watchers:
            with self._guard.switched(not _keeps_weights(one)):
                one.on_train_end(dict(call.logs[-1]) if call.logs else {})
        return model.history

    def _tell_epochs(self, call: Call, watchers: Sequence[Callback]) -> None:
        for epoch, logs in enumerate(map(dict, call.logs), start=call.first):
            for one in watchers:
                with self._guard.switched(True):
                    one.on_epoch_begin(epoch, {})
            for one in watchers:
                with self._guard.switched(not _keeps_weights(one)):
                    one.on_epoch_end(epoch, logs)

    def _arrive(self, watchers: Sequence[Callback]) -> None:
        """Put all into the checkpoint's state."""
        checkpoint, self._checkpoint = self._checkpoint, None
        assert checkpoint is not None
        self._guard.close()
        self.changes.restore(checkpoint.variables or {})
        optimizer = self._model.optimizer
        if not optimizer.built:
            optimizer.build(self._model.trainable_variables)
        if len(optimizer.variables) != len(checkpoint.optimizer) or len(watchers) != len(checkpoint.states):
            raise CannotReplay("its fit() has another optimizer or other callbacks than before")
        for variable, value in zip(optimizer.variables, checkpoint.optimizer, strict=True):
            variable.assign(value)
        for callback, state in zip(watchers, checkpoint.states, strict=True):
            self._restore(callback, unpacked(state, list(checkpoint.arrays)))
        self._arrived()

    def _state(self, callback: Callback, arrays: list[np.ndarray]) -> Any:
        """What the epochs' metrics do not tell of a callback."""
        if isinstance(callback, EarlyStopping):
            best = callback.best_weights
            return None if best is None else packed(self.changes.in_weights(best), arrays)
        return {"dict": [*map(list, state_of(callback, arrays).items())]} if _has_hooks(callback) else None

    def _restore(self, callback: Callback, state: Any) -> None:
        if state is None:
            return
        if isinstance(callback, EarlyStopping):
            best = self._model.get_weights()
            for place, value in state.items():
                best[place] = value
            callback.best_weights = best
        else:
            vars(callback).update(state)


class _First(Callback):
    """Before any other callback: keeps what Keras says, to which callbacks may add."""

    def __init__(self, course: Course, call: Call) -> None:
        super().__init__()
        self._course, self._call = course, call

    def on_train_begin(self, logs: Any = None) -> None:
        self._call.params = dict(self.params)
        self._course._guard.is_on = self._course._checkpoint is not None

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in (logs or {}).items()}
        if not all(type(value) in PLAIN for value in plain.values()):
            self._course._hinder("its model reports metrics that are no numbers")
        if epoch != self._call.position:
            self._course._hinder("a callback of it changes the epoch that begins")
        self._call.logs.append(plain)


class _Observed(Callback):
    """Lets the observers see each step; they may join when the `fit` has begun."""

    def __init__(self, course: Course, is_reported: bool) -> None:
        super().__init__()
        self._course, self._is_reported = course, is_reported

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        for one in self._course.observers:
            one.set_params(self.params)
            one.on_epoch_begin(epoch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        for one in self._course.observers:
            one.on_train_batch_end(batch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        for one in self._course.observers if self._is_reported else ():  # else it is no epoch of the trial's
            one.on_epoch_end(epoch, logs)


class _Last(Callback):
    """After all other callbacks: they have seen the epoch when it is reported, so a checkpoint then is of its end."""

    def __init__(self, course: Course, call: Call, watchers: Sequence[Callback], report: Report | None) -> None:
        super().__init__()
        self._course, self._call, self._watchers, self._report = course, call, watchers, report

    def on_train_begin(self, logs: Any = None) -> None:
        course = self._course
        if course._checkpoint is not None:
            course._tell_epochs(self._call, self._watchers)
            course._arrive(self._watchers)
            self.model.stop_training = False

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._call.is_stopped = bool(self.model.stop_training)
        if self._report is not None:
            self._report.tell(self.model, dict(logs or {}))


class _Guard:
    """Notices when a variable is read whose value this process does not know yet."""

    def __init__(self) -> None:
        self.is_on = False
        self._is_closed = True
        self._unknown: dict[int, keras.Variable] = {}

    def forbid(self, variables: Iterable[keras.Variable]) -> None:
        self._unknown |= {id(variable): variable for variable in variables}

    @contextmanager
    def begun(self) -> Iterator[None]:
        thread, original = threading.get_ident(), keras.Variable.value

        def value(variable: keras.Variable) -> Any:
            if self.is_on and threading.get_ident() == thread and id(variable) in self._unknown:
                raise CannotReplay(f"its fit() or a callback reads {variable.path} on the way")
            return original.fget(variable)

        self._is_closed, self.is_on = False, True
        keras.Variable.value = property(value)
        try:
            yield
        finally:
            self.close()
            keras.Variable.value = original

    def close(self) -> None:
        self.is_on, self._is_closed, self._unknown = False, True, {}

    @contextmanager
    def switched(self, is_on: bool) -> Iterator[None]:
        """For a block of the user's code (on) or of Keras's or ours (off), as far as it is not closed."""
        before, self.is_on = self.is_on, is_on and not self._is_closed
        try:
            yield
        finally:
            self.is_on = before and not self._is_closed


def _keeps_weights(callback: Callback) -> bool:
    """Keras's own early stopping may copy weights: those of its best epoch are in the checkpoint."""
    return type(callback).on_epoch_end is EarlyStopping.on_epoch_end


def _has_hooks(callback: Callback) -> bool:
    """Whether a user's callback counts what happens within an epoch."""
    kind = type(callback)
    is_known = kind.__module__.startswith(("keras.src.callbacks", "search_spaces."))
    if is_known and kind is not keras.callbacks.LambdaCallback:
        return False
    return any(name in vars(callback) or getattr(kind, name) is not getattr(Callback, name) for name in HOOKS)
