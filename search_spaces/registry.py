"""Names of spaces: "custom_cnn", "finetune" or "PACKAGE.MODULE:CLASS". Model code is imported on demand."""

import importlib
import inspect
import os
import sys
from typing import Any

import keras_tuner

from search_spaces.errors import UserError

SPACES = {
    "custom_cnn": "search_spaces.custom_cnn:CustomCNN",
    "finetune": "search_spaces.finetune:FineTune",
}


def create(name: str, **offered: Any) -> keras_tuner.HyperModel:
    """The space of that name, constructed with those of the offered arguments that its constructor names.

    A user's own class may ask for any of them (`task`, `input_shape`, `classes`, ...) or for none.

    Raises:
        UserError: no such space, a class that is no HyperModel, or a constructor that needs what is not offered.
    """
    space_class = _find(name)
    parameters = inspect.signature(space_class).parameters.values()
    missing = [
        parameter.name
        for parameter in parameters
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        and parameter.name not in offered
    ]
    if missing:
        raise UserError(
            f"--space {name}: its constructor needs {', '.join(missing)}, "
            f"but only these can be given: {', '.join(sorted(offered))}"
        )
    accepted = {parameter.name for parameter in parameters}
    return space_class(**{key: value for key, value in offered.items() if key in accepted})


def _find(name: str) -> type[keras_tuner.HyperModel]:
    target = SPACES.get(name, name)
    module_name, colon, class_name = target.partition(":")
    if not colon or not module_name or not class_name:
        raise UserError(f"--space {name} is unknown: use {', '.join(SPACES)} or PACKAGE.MODULE:CLASS")
    if os.getcwd() not in sys.path:  # a script's own folder is on the path, the user's working folder is not
        sys.path.append(os.getcwd())
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"--space {name} cannot be imported: {error}") from error
    if not (inspect.isclass(found) and issubclass(found, keras_tuner.HyperModel)):
        raise UserError(f"--space {name} is no subclass of keras_tuner.HyperModel")
    return found
