"""What the source of a user's space says: where it is written, and which hyperparameters it names."""

import ast
import fnmatch
import inspect
import os
import sysconfig
import textwrap
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras_tuner

KINDS = frozenset({"Boolean", "Choice", "Fixed", "Float", "Int"})
"""KerasTuner's methods that ask for a hyperparameter."""
OURS = tuple(str(Path(__file__).parents[1] / room) + os.sep for room in ("search_spaces", "results", "tuner"))
LIBRARIES = (sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))


class BuildFunction(keras_tuner.HyperModel):
    """A function `build(hp)` as a HyperModel."""

    def __init__(self, function: Callable[[keras_tuner.HyperParameters], Any]) -> None:
        super().__init__()
        self.function = function

    def build(self, hp: keras_tuner.HyperParameters) -> Any:
        """Call the function."""
        return self.function(hp)


def written_at(space: keras_tuner.HyperModel) -> str:
    """File and line of its `build`, such as "my_space.py, line 12"."""
    code = getattr(inspect.unwrap(_build(space)), "__code__", None)
    return f"{os.path.basename(code.co_filename)}, line {code.co_firstlineno}" if code else type(space).__name__


def raised_at(error: BaseException) -> str | None:
    """File and line where an error left the user's own code; None if it was not raised in there."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith((*OURS, *LIBRARIES, "<"))]
    return f"{os.path.basename(own[-1].filename)}, line {own[-1].lineno}" if own else None


def lacking(space: keras_tuner.HyperModel, known: set[str]) -> tuple[str, ...]:
    """The hyperparameters that the source asks for by name and that are not `known`.

    A name that is put together, as in f"units_{i}", counts as known if any known one is like it. Without source, or
    with one that does not parse, there are none.
    """
    scopes = {name.rsplit("/", 1)[-1] for name in known}  # KerasTuner puts the name scope before
    found = dict.fromkeys(_named(_build(space) if isinstance(space, BuildFunction) else type(space)))
    return tuple(name for name in found if not any(fnmatch.fnmatchcase(one, name) for one in known | scopes))


def _build(space: keras_tuner.HyperModel) -> Any:
    return space.function if isinstance(space, BuildFunction) else type(space).build


def _named(written: Any) -> Iterator[str]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(written)))
    except (OSError, TypeError, SyntaxError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in KINDS:
            given = [*node.args[:1], *(one.value for one in node.keywords if one.arg == "name")]
            if given and (name := _pattern(given[0])):
                yield name


def _pattern(node: ast.expr) -> str | None:
    """A name, with * for what only running tells; None for one that nothing is known of."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if not isinstance(node, ast.JoinedStr):
        return None
    return "".join(str(one.value) if isinstance(one, ast.Constant) else "*" for one in node.values)
