"""What frozen prefixes put out for a study's images: found in the feature store, or computed into it."""

from __future__ import annotations

import hashlib
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from typing import Any

import keras
import numpy as np

from tuner.trial.feature_store import ArrayRemoved, ArraySpec, FeatureStore, StoredArray, StoreUnavailable
from tuner.trial.frozen_prefix import Cut, FrozenPrefix, augmenting
from tuner.trial.model_graph import Call, Tensor
from tuner.trial.substitutes import faster

LEAST_GAIN = 0.02
"""Share of an epoch that features must save; below it the pixels are as good."""
BATCH = 64
"""Images that go through a prefix at a time; an array's chunk is a multiple of it."""
WAYPOINT_SHARE = 0.25
"""Share of the store that the waypoints of one array may take."""
HALF_ERROR = 1e-3
"""Features are kept as float16 where that changes them by less than this share of their spread (root mean square).

float16 rounds by 2**-12 of a value at the mean; more is lost where a large mean hides a small spread, or beyond 65,504.
"""
SAMPLED = 17
"""Of large features each so many'th number is looked at for that: hardly a number of channels is a multiple of it."""
PATIENCE = 0.2
"""Seconds to wait for a chunk that another process makes, before the next is tried."""


class Features:
    """Features of a study's images, as arrays of the store.

    Args:
        store: where they are kept.
        seed: of the augmented views.
    """

    def __init__(self, store: FeatureStore, seed: int) -> None:
        self._store, self._seed = store, seed
        self._digests: dict[int, tuple[weakref.ref[np.ndarray], str]] = {}
        self.warning: str | None = None
        """Why the store could not be used, if ever it could not."""
        self.begin_trial()

    def begin_trial(self) -> None:
        """Count anew, watched by nobody."""
        self.watcher: Callable[[float], None] = lambda share: None
        """Called with the share of an array that is there, while it is made; what it raises ends the making."""
        self.seconds = 0.0
        """What the trial's features took to find or to compute."""
        self.images = 0
        """How many images the latest features are of."""
        self.is_used = False
        """Whether the trial has trained on features; whoever fits its model says so."""

    def choose(self, prefix: FrozenPrefix, images: np.ndarray, view: int | None) -> Cut | None:
        """Where to cut for these images: of the best cuts one that is stored, else the first that would fit."""
        try:
            return self._choose(prefix, images, view)
        except (StoreUnavailable, OSError) as error:
            self._warn(error)
            return None

    def _choose(self, prefix: FrozenPrefix, images: np.ndarray, view: int | None) -> Cut | None:
        cuts = prefix.choices()
        worth_it = [cut for cut in cuts if prefix.gain(cut) >= LEAST_GAIN and not self._is_cheap(cut)]
        fitting = [cut for cut in worth_it if cut.size * 2 * len(images) <= self._store.capacity]
        if worth_it and not fitting:
            raise StoreUnavailable(f"they do not fit into --feature-store-gb {self._store.capacity / 1e9:g}")
        small = [cut for cut in fitting if cut.size == fitting[0].size]
        stored = (cut for cut in small if self._store.has(self._file(self._name(cut, images, view))))
        return next(stored, next(iter(fitting), None))

    def of(self, prefix: FrozenPrefix, cut: Cut, images: np.ndarray, view: int | None) -> StoredArray | None:
        """The features of `images` at `cut`; in view number `view` of their augmentation, None for without.

        None when they cannot be stored (`warning` says why), or cost more to read than to compute.
        """
        began, self.images = time.monotonic(), len(images)
        try:
            return self._of(prefix, cut, images, view)
        except (StoreUnavailable, OSError) as error:
            self._warn(error)
            return None
        finally:
            self.seconds += time.monotonic() - began

    def _warn(self, error: Exception) -> None:
        reason = str(error)
        if isinstance(error, OSError):
            reason = f"--feature-store {self._store.folder}: {error.strerror or error}"
        self.warning = f"features are not stored, so trials take longer: {reason}"

    def _of(self, prefix: FrozenPrefix, cut: Cut, images: np.ndarray, view: int | None) -> StoredArray | None:
        name = self._name(cut, images, view)
        for _ in range(1 + len(prefix.cuts)):  # again in float32 where float16 loses too much
            found = self._store.get(self._file(name))
            if found is not None or self._is_cheap(cut):  # another may have found that out meanwhile
                return found
            cuts = [*self._waypoints(prefix, cut, len(images)), cut]
            names = [self._name(other, images, view) for other in cuts]
            with ExitStack() as held, suppress(ArrayRemoved):
                arrays = [
                    held.enter_context(self._making(one, other, images)) for one, other in zip(names, cuts, strict=True)
                ]
                making = _Making(self._store, prefix, cuts, arrays, images, view, self._seed)
                if making.finish(self._is_wide, self.watcher):
                    for array in arrays:
                        self._store.publish(array)
                elif making.is_cheap:
                    self._store.note(f"{cut.key[:32]}-cheap")
                    self._store.discard(arrays[-1])
                    return None
        raise StoreUnavailable(f"{name} was removed while it was made")

    def _making(self, name: str, cut: Cut, images: np.ndarray) -> StoredArray:
        dtype = "float32" if self._store.has_note(f"{name}-wide") else "float16"
        return self._store.make(ArraySpec(self._file(name), (len(images), *cut.shape), dtype))

    def _file(self, name: str) -> str:
        return f"{name}-f4" if self._store.has_note(f"{name}-wide") else f"{name}-f2"

    def _is_wide(self, arrays: Sequence[StoredArray]) -> None:
        for array in arrays:
            self._store.note(f"{array.spec.name.removesuffix('-f2')}-wide")
            self._store.discard(array)

    def _is_cheap(self, cut: Cut) -> bool:
        return self._store.has_note(f"{cut.key[:32]}-cheap")

    def _waypoints(self, prefix: FrozenPrefix, cut: Cut, count: int) -> list[Cut]:
        found = [other for other in prefix.waypoints() if other.cost < cut.cost]
        size = sum(other.size * 2 * count for other in found)
        return found if size <= WAYPOINT_SHARE * self._store.capacity else []

    def _name(self, cut: Cut, images: np.ndarray, view: int | None) -> str:
        text = f"{self._digest(images)} {cut.key} {'plain' if view is None else (self._seed, view)}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def _digest(self, images: np.ndarray) -> str:
        known = self._digests.get(id(images))
        if known is None or known[0]() is not images:
            digest = hashlib.sha256(f"{images.shape} {images.dtype.str}".encode())
            digest.update(np.ascontiguousarray(images).data)
            known = self._digests[id(images)] = (weakref.ref(images), digest.hexdigest())
        return known[1]


class _Making:
    """One array and its waypoints in the making: chunk by chunk, beside other processes that make the same."""

    def __init__(
        self,
        store: FeatureStore,
        prefix: FrozenPrefix,
        cuts: Sequence[Cut],
        arrays: Sequence[StoredArray],
        images: np.ndarray,
        view: int | None,
        seed: int,
    ) -> None:
        self._store, self._prefix, self._cuts, self._arrays = store, prefix, cuts, arrays
        self._images, self._view, self._seed = images, view, seed
        self.is_cheap = False

    def finish(
        self, is_wide: Callable[[Sequence[StoredArray]], None], watcher: Callable[[float], None] = lambda share: None
    ) -> bool:
        """Make all chunks; False when it was given up, because of `is_cheap` or of what was told to `is_wide`."""
        chunks = self._arrays[-1].spec.chunks
        left = list(range(chunks))
        while left:
            watcher(1 - len(left) / chunks)
            chunk = left.pop(0)
            first = next((array for array in self._arrays if not array.has(chunk)), None)
            if first is None:
                continue
            with first.making(chunk, PATIENCE if left else 10 * PATIENCE) as is_ours:
                if not is_ours:
                    left.append(chunk)
                elif not self._make(chunk, is_wide):
                    return False
                elif any(not array.has(chunk) for array in self._arrays):  # another had begun before us
                    left.append(chunk)
        return True

    def _make(self, chunk: int, is_wide: Callable[[Sequence[StoredArray]], None]) -> bool:
        missing = [number for number, array in enumerate(self._arrays) if not array.has(chunk)]
        if not missing:
            return True
        begin = missing[0]
        rows = self._arrays[0].spec.rows(chunk)
        source = self._arrays[begin - 1].values[rows] if begin else self._images[rows]
        outcomes, seconds = self._compute(begin, source, chunk)
        arrays = self._arrays[begin:]
        made = [
            half(values) if array.spec.dtype == "float16" else values
            for array, values in zip(arrays, outcomes, strict=True)
        ]
        wide = [array for array, values in zip(arrays, made, strict=True) if values is None]
        if wide:
            is_wide(wide)
            return False
        for array, values in zip(arrays, made, strict=True):
            if values is not None and not array.has(chunk):
                array.put(chunk, values)
        if not begin and chunk == 0 and _reading(self._arrays[-1], rows) >= seconds:
            self.is_cheap = True
            return False
        return True

    def _compute(self, begin: int, source: np.ndarray, chunk: int) -> tuple[list[np.ndarray], float]:
        """Features of a chunk at each cut from number `begin` on, and the time that it takes once it is traced."""
        cuts = self._cuts[begin:]
        start = self._cuts[begin - 1].tensor if begin else self._prefix.graph.input
        substitutes = faster if self._view is None else _faster_and_augmenting
        part = self._prefix.part(start, [cut.tensor for cut in cuts], substitutes)
        if self._view is not None:
            _reseed(part, (self._seed, self._view, chunk))
        seconds, batches = [], []
        for row in range(0, len(source), BATCH):
            began = time.perf_counter()
            rows = np.asarray(source[row : row + BATCH])
            # Always as many, so that it is traced once.
            outcome = keras.tree.flatten(part.predict_on_batch(np.resize(rows, (BATCH, *rows.shape[1:]))))
            if any(values.shape != (BATCH, *cut.shape) for values, cut in zip(outcome, cuts, strict=True)):
                raise StoreUnavailable("the model does not put out one row of features for each image")
            batches.append([np.asarray(values)[: len(rows)] for values in outcome])
            seconds.append(time.perf_counter() - began)
        return [np.concatenate(values) for values in zip(*batches, strict=True)], min(seconds) * len(seconds)


def _faster_and_augmenting(calls: Sequence[Call], ends: Sequence[Tensor]) -> dict[int, Any]:
    return faster(calls, ends) | augmenting(calls)


def half(values: np.ndarray) -> np.ndarray | None:
    """The values as float16; None where that loses what matters (see `HALF_ERROR`), judged by a sample of them."""
    cast = keras.ops.cast(values, "float16")  # NumPy takes five times as long
    found = np.asarray(keras.ops.convert_to_numpy(cast))
    step = SAMPLED if values.size > SAMPLED**3 else 1
    sample = np.asarray(values).reshape(-1)[::step].astype("float32")
    error = sample - found.reshape(-1)[::step].astype("float32")
    is_close = np.sqrt(np.mean(np.square(error))) <= HALF_ERROR * np.std(sample)
    return found if is_close and not _overflows(found) else None


def _overflows(values: np.ndarray) -> bool:
    """Whether there are infinities or NaN: their exponent's bits are all set."""
    return bool(np.any((values.view("uint16") & 0x7C00) == 0x7C00))


def _reading(array: StoredArray, rows: slice) -> float:
    """Seconds to read these rows in another order, as training does."""
    order = np.random.default_rng(0).permutation(np.arange(rows.start, rows.stop))
    began = time.perf_counter()
    array.values[order]
    return time.perf_counter() - began


def _reseed(model: keras.Model, seeds: tuple[int, ...]) -> None:
    """So that a view is the same whoever makes which of its chunks."""
    states = np.random.default_rng(seeds)
    for layer in model._flatten_layers():
        for generator in layer._seed_generators:
            generator.state.assign(states.integers(0, 2**31, 2).astype("uint32"))
