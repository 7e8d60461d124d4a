"""A callback's state as JSON and arrays, so that another process can go on with it. Nothing in it is code."""

from __future__ import annotations

from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import keras
import numpy as np

PLAIN = (bool, int, float, str, type(None))
FIXED = (FunctionType, BuiltinFunctionType, MethodType, np.ufunc, type)
"""What an attribute may be that is no state."""


class Unpackable(Exception):
    """A value that cannot be written down."""


def state_of(callback: keras.callbacks.Callback, arrays: list[np.ndarray]) -> dict[str, Any]:
    """Return what a callback keeps in its attributes, as JSON; its arrays are copied to the end of `arrays`.

    Raises:
        Unpackable: one of its attributes is neither plain nor an array, nor a list, tuple or dict of such.
    """
    found = {}
    for name, value in vars(callback).items():
        if name in ("_model", "params") or isinstance(value, FIXED):
            continue
        try:
            found[name] = packed(value, arrays)
        except Unpackable as error:
            raise Unpackable(f"{type(callback).__name__}.{name} is a {error}") from None
    return found


def packed(value: Any, arrays: list[np.ndarray]) -> Any:
    """Return a value as JSON; arrays and NumPy's numbers are copied to the end of `arrays`.

    Raises:
        Unpackable: it names the kind of the value that cannot be written.
    """
    if type(value) in PLAIN:
        return value
    if isinstance(value, np.ndarray | np.generic) and value.dtype != object:
        arrays.append(np.array(value))
        return {"scalar" if isinstance(value, np.generic) else "array": len(arrays) - 1}
    if type(value) in (list, tuple):
        return {type(value).__name__: [packed(item, arrays) for item in value]}
    if type(value) is dict:
        return {"dict": [[packed(key, arrays), packed(item, arrays)] for key, item in value.items()]}
    raise Unpackable(type(value).__name__)


def unpacked(value: Any, arrays: list[np.ndarray]) -> Any:
    """Return what `packed` was given."""
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind in ("array", "scalar"):
        return np.array(arrays[content]) if kind == "array" else arrays[content][()]
    if kind == "dict":
        return {unpacked(key, arrays): unpacked(item, arrays) for key, item in content}
    items = [unpacked(item, arrays) for item in content]
    return items if kind == "list" else tuple(items)
