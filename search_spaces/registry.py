"""Spaces by name: "custom_cnn", "finetune" or a user's own "PACKAGE.MODULE:NAME". Model code is imported on demand."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from search_spaces.errors import UserError
from search_spaces.task import Task

if TYPE_CHECKING:
    import keras_tuner

SPACES = {
    "custom_cnn": "search_spaces.custom_cnn:CustomCNN",
    "finetune": "search_spaces.finetune:FineTune",
}


@dataclass(frozen=True)
class SpaceSpec:
    """All that it takes to construct a space, as plain data that travels to workers."""

    name: str
    task: Task
    weights: Mapping[str, str | None]
    """Of the backbones that it may choose; see `backbones.find_weights`."""
    folder: str
    """The user's working folder: a class of theirs may be in it."""

    def create(self) -> keras_tuner.HyperModel:
        """The space: a HyperModel, or a function `build(hp)` made into one.

        A class is constructed with what its constructor names: `task`, `weights`, `input_shape`, `classes`, or none.

        Raises:
            UserError: no such space, something that is no HyperModel, or a constructor that needs something else.
        """
        found = _find(self.name, self.folder)
        return self._constructed(found) if inspect.isclass(found) else _hypermodel(found)

    def _constructed(self, space_class: type[keras_tuner.HyperModel]) -> keras_tuner.HyperModel:
        offered: dict[str, Any] = {
            "task": self.task,
            "weights": self.weights,
            "input_shape": self.task.input_shape,
            "classes": self.task.classes,
        }
        parameters = inspect.signature(space_class).parameters.values()
        missing = [one.name for one in parameters if _is_required(one) and one.name not in offered]
        if missing:
            raise UserError(
                f"--space {self.name}: its constructor needs {', '.join(missing)}, "
                f"but only these can be given: {', '.join(offered)}"
            )
        accepted = {one.name for one in parameters}
        return space_class(**{name: value for name, value in offered.items() if name in accepted})

    def enter_folder(self) -> None:
        """Make the user's working folder this process's, where it exists: a space may open files beside it."""
        if os.path.isdir(self.folder):
            os.chdir(self.folder)


def _is_required(parameter: inspect.Parameter) -> bool:
    takes_any = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and not takes_any


def _hypermodel(found: Any) -> keras_tuner.HyperModel:
    """What KerasTuner's own tuners take: a HyperModel, or a function from hyperparameters to a model."""
    import keras_tuner

    if isinstance(found, keras_tuner.HyperModel):
        return found

    from search_spaces.source import BuildFunction

    return BuildFunction(found)


def _find(name: str, folder: str) -> Any:
    import keras_tuner

    module_name, colon, class_name = SPACES.get(name, name).partition(":")
    if not colon or not module_name or not class_name:
        raise UserError(f"--space {name} is unknown: use {', '.join(SPACES)} or PACKAGE.MODULE:NAME")
    if folder not in sys.path:  # a script's own folder is on the path, the user's working folder is not
        sys.path.append(folder)
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"--space {name} cannot be imported: {error}") from error
    is_class = inspect.isclass(found) and issubclass(found, keras_tuner.HyperModel)
    if not (is_class or inspect.isfunction(found) or isinstance(found, keras_tuner.HyperModel)):
        raise UserError(f"--space {name} is no keras_tuner.HyperModel and no function build(hp)")
    return found
