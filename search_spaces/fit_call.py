"""How a space's `fit` is called: as KerasTuner does, with `epochs` and `verbose` only where it does not set them.

KerasTuner's documentation shows `model.fit(*args, epochs=hp.Int("epochs", 5, 20), **kwargs)`. There whoever searches
leaves `epochs` out; here nobody can, so it is left out when Python says that it was given twice, or is not taken.
"""

import re
from collections.abc import Callable
from typing import Any

import keras
import keras_tuner

MAY_BE_LEFT_OUT = ("epochs", "verbose")
REFUSED = re.compile(r"got (?:multiple values for|an unexpected) (?:keyword )?argument '(\w+)'")
"""What Python says when a function is called with an argument twice, or with one that it does not take."""


def call_fit(
    space: keras_tuner.HyperModel,
    hp: keras_tuner.HyperParameters,
    model: keras.Model,
    data: tuple[Any, Any],
    has_begun: Callable[[], bool],
    **options: Any,
) -> Any:
    """Call `space.fit` with images and labels and the options of `keras.Model.fit`; return what it returns.

    Args:
        has_begun: whether an epoch has been trained; then nothing is called again.

    Raises:
        Exception: what `fit` raises.
    """
    while True:
        try:
            return space.fit(hp, model, *data, **options)
        except TypeError as error:
            name = refused(error)
            if name not in MAY_BE_LEFT_OUT or name not in options or has_begun():
                raise
            del options[name]


def refused(error: TypeError) -> str | None:
    """The argument that a function was given twice or does not take; None for any other error."""
    found = REFUSED.search(str(error))
    return found.group(1) if found else None
