"""A study's options as people write them: each is a field of `StudyConfig`, with the help that stands beside it."""

import dataclasses
import functools
import inspect
import json
import os
import re
import reprlib
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar, cast

import typer
from pydantic import TypeAdapter, ValidationError

from search_spaces.errors import UserError, like
from search_spaces.hyperparameter import Value

Kind = TypeVar("Kind")


def option(default: Any, help: str, parse: Callable[[str, Any], Any] | None = None, flag: str | None = None) -> Any:
    """A dataclass's field that is an option.

    Args:
        default: of the field.
        help: a line.
        parse: of an option that is a text on the command line: makes the field's value of the option's name and it.
        flag: how an option that is only given or not is written; by default it cannot be taken back.
    """
    about = {"help": help, "parse": parse, "flag": flag}
    if callable(default):
        return dataclasses.field(default_factory=default, metadata=about)
    return dataclasses.field(default=default, metadata=about)


def described(kind: type[Kind]) -> type[Kind]:
    """Let the docstring of such a dataclass, and so `help` and the reference, list its options."""
    options = [item for item in dataclasses.fields(cast(Any, kind)) if item.init]
    listed = "\n".join(f"    {item.name}: {item.metadata['help']}" for item in options)
    kind.__doc__ = f"{inspect.cleandoc(kind.__doc__ or '')}\n\nArgs:\n{listed}\n"
    return kind


def as_command(kind: type) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Let a function be a typer command with the options of such a dataclass, beside those that it has itself.

    The function's first parameter gets the options that were given, by their fields' names, for `parsed`.
    """
    fields = [item for item in dataclasses.fields(kind) if item.init]

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(function).parameters.values())[1:]

        @functools.wraps(function)
        def command(context: typer.Context, **texts: Any) -> None:
            given = {
                item.name: texts[item.name]
                for item in fields
                if (source := context.get_parameter_source(item.name)) and source.name == "COMMANDLINE"
            }
            function(given, **{one.name: texts[one.name] for one in own})

        by_name = inspect.Parameter.KEYWORD_ONLY
        context = inspect.Parameter("context", by_name, annotation=typer.Context)
        parameters = [context, *map(_parameter, fields), *(one.replace(kind=by_name) for one in own)]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {one.name: one.annotation for one in parameters}
        return command

    return decorate


def parsed(kind: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """Options from a command line as the fields of that dataclass have them.

    Raises:
        UserError: a text that is none of that.
    """
    parsers = {item.name: item.metadata["parse"] for item in dataclasses.fields(kind) if item.init}
    return {
        name: value if (parse := parsers[name]) is None else parse(flag(name), value) for name, value in given.items()
    }


def coerced(kind: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """Options from Python as the fields of that dataclass have them: texts may be as on a command line, paths texts.

    Raises:
        UserError: no such option, or a value that is none of it.
    """
    fields = {item.name: item for item in dataclasses.fields(kind) if item.init}
    found = {}
    for name, value in given.items():
        if name not in fields:
            raise UserError(f"{name}: {kind.__name__} has no such option{like(name, fields)}")
        found[name] = _coerced(fields[name], value)
    return found


def _coerced(item: dataclasses.Field[Any], value: Any) -> Any:
    parse = item.metadata["parse"]
    if isinstance(value, str) and parse is not None:
        return parse(flag(item.name), [value] if parse is settings else value)
    if item.type is str and isinstance(value, os.PathLike):
        return os.fspath(value)
    try:
        return _adapter(cast(Any, item.type)).validate_python(value)
    except ValidationError as error:
        message = error.errors()[0]["msg"]
        raise UserError(f"{flag(item.name)} {reprlib.repr(value)}: {message[0].lower()}{message[1:]}") from error


@functools.cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def flag(name: str) -> str:
    """How a field is spelled as an option."""
    return f"--{name.replace('_', '-')}"


def _parameter(item: dataclasses.Field[Any]) -> inspect.Parameter:
    about, default = item.metadata, item.default
    kind: Any = item.type
    spelled = [about["flag"] or flag(item.name)] if kind is bool else []
    if about["parse"] is settings:
        kind, default = list[str] | None, None
    elif about["parse"] is not None:
        kind, default = str | None, _text(default)
    annotation = Annotated[kind, typer.Option(*spelled, help=about["help"], metavar=METAVARS.get(about["parse"]))]
    return inspect.Parameter(item.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _text(default: Any) -> str | None:
    if isinstance(default, tuple):
        return ",".join(default)
    if isinstance(default, float):
        return next(f"{default / size:g}{unit}" for unit, size in reversed(UNITS.items()) if default >= size)
    return None if default is None else str(default)


UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(option: str, text: str) -> float | None:
    """A duration such as `90s`, `30m`, `1.5h` or `2d`, in seconds; a bare number counts seconds, `none` is None.

    Raises:
        UserError: anything else.
    """
    if text.strip() == "none":
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", text.strip())
    if not match:
        raise UserError(f"{option} {text!r} must be a number of seconds, or one with a unit: 90s, 30m, 1.5h or 2d")
    return float(match[1]) * UNITS[match[2] or "s"]


def names(option: str, text: str) -> tuple[str, ...]:
    """Names separated by commas."""
    return tuple(filter(None, map(str.strip, text.split(","))))


def settings(option: str, texts: Sequence[str]) -> dict[str, Value]:
    """Such as `blocks=3`: numbers, true, false and words in quotation marks as JSON has them, everything else as text.

    Raises:
        UserError: a text without a name or a value, or a name twice.
    """
    found: dict[str, Value] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise UserError(f"{option} {text!r} must be NAME=VALUE, such as {option} augmentation=standard")
        if name in found:
            raise UserError(f"{option} {text}: {name} is fixed at {found[name]} already; give one of the two")
        found[name] = _value(value)
    return found


METAVARS = {settings: "NAME=VALUE", names: "A,B", seconds: "DURATION"}


def _value(text: str) -> Value:
    try:
        value = json.loads(text.lower() if text in ("True", "False") else text)
    except ValueError:
        return text
    return value if isinstance(value, Value) else text
