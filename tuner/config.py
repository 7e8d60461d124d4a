"""What a user asks for: the one thing that a script builds and that everything else reads."""

import dataclasses
import datetime
import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from results.paths import CACHE, RunPaths
from results.records import StudyRecord, first_problem
from search_spaces.errors import UserError
from search_spaces.hyperparameter import Value
from search_spaces.registry import SPACES
from tuner.trial.limits import Limits

SCHEDULERS = ("asha", "none")
PRECISIONS = ("auto", "float32", "bfloat16")
DEFAULT_STORE = CACHE / "features"


@dataclass(frozen=True)
class StudyConfig:
    """The options of one study, checked when it is made; fields are named as search.py's options.

    Raises:
        UserError: an option out of its range.
    """

    space: str = "finetune"
    data: str = "cifar10"
    image_size: int | None = None
    strict: bool = False
    weights: str = "imagenet"
    backbones: tuple[str, ...] | None = None
    """None: all whose weights can be had."""
    trials: int = 20
    max_epochs: int = 20
    time_budget: float | None = None
    """Seconds."""
    recipes: tuple[str, ...] = ()
    configs: Path | None = None
    fix: Mapping[str, Value] = field(default_factory=dict)
    warm_start: tuple[str, ...] = ()
    """Runs: folders, or names in `storage`."""
    max_parameters: int | None = None
    max_latency: float | None = None
    """Milliseconds for one image alone."""
    scheduler: str = "asha"
    grace_epochs: int = 1
    reduction_factor: float = 3.0
    max_failures: int = 3
    """Workers that a trial may lose and go on."""
    trial_timeout: float = 6 * 3600.0
    """Seconds without an epoch, after which a trial is taken to hang."""
    concurrency: int | None = None
    cpus_per_trial: float | None = None
    gpus_per_trial: float | None = None
    precision: str = "auto"
    feature_store: Path = DEFAULT_STORE
    """A folder of each node."""
    feature_store_gb: float = 20.0
    """0 keeps no features."""
    views: int = 0
    finalists: int = 3
    """0 trains none again, and the test split stays shut."""
    finalist_seeds: int = 3
    retrain: bool = False
    seed: int = 0
    name: str | None = None
    storage: Path = Path("runs")
    address: str | None = None
    dashboard: bool = True
    paths: RunPaths = field(init=False)

    def __post_init__(self) -> None:
        at_least = {
            "image_size": 8,
            "trials": 1,
            "max_epochs": 1,
            "grace_epochs": 1,
            "concurrency": 1,
            "max_parameters": 1,
            "max_failures": 0,
            "finalists": 0,
            "finalist_seeds": 1,
            "seed": 0,
            "views": 0,
        }
        for option, least in at_least.items():
            value = getattr(self, option)
            _require(value is None or value >= least, option, value, f"must be at least {least}")
        floats = (
            "cpus_per_trial",
            "gpus_per_trial",
            "time_budget",
            "trial_timeout",
            "reduction_factor",
            "feature_store_gb",
            "max_latency",
        )
        for option in floats:
            value = getattr(self, option)
            _require(value is None or math.isfinite(value), option, value, "must be finite")
        for option in ("cpus_per_trial", "time_budget", "trial_timeout", "max_latency"):
            value = getattr(self, option)
            _require(value is None or value > 0, option, value, "must be more than 0")
        gigabytes = self.feature_store_gb
        _require(gigabytes >= 0, "feature_store_gb", gigabytes, "must be 0 (keep no features) or more")
        _require(not self.views or gigabytes > 0, "views", self.views, "needs a --feature-store-gb of more than 0")
        _require(self.seed < 2**32, "seed", self.seed, "must be below 2**32")
        gpus = self.gpus_per_trial
        _require(gpus is None or gpus >= 0, "gpus_per_trial", gpus, "must be 0 or more; a share such as 0.5 is allowed")
        _require(
            gpus is None or gpus <= 1 or gpus == int(gpus), "gpus_per_trial", gpus, "above 1 must be a whole number"
        )
        _require(self.reduction_factor > 1, "reduction_factor", self.reduction_factor, "must be more than 1")
        _require(
            self.grace_epochs <= self.max_epochs,
            "grace_epochs",
            self.grace_epochs,
            f"must be at most --max-epochs ({self.max_epochs})",
        )
        _require(self.scheduler in SCHEDULERS, "scheduler", self.scheduler, f"must be one of {', '.join(SCHEDULERS)}")
        _require(self.precision in PRECISIONS, "precision", self.precision, f"must be one of {', '.join(PRECISIONS)}")
        _require(
            self.backbones is None or self.space == "finetune",
            "backbones",
            ",".join(self.backbones or ()),
            f"belongs to --space finetune, not to {self.space}",
        )
        name = self.name or f"{self.space.rpartition(':')[2]}-{datetime.datetime.now():%Y%m%d-%H%M%S}"
        inside = Path(self.data).is_dir() and self.storage.resolve().is_relative_to(Path(self.data).resolve())
        _require(not inside, "storage", self.storage, f"must not lie inside --data {self.data}: runs are no images")
        object.__setattr__(self, "paths", RunPaths.of(self.storage, name))
        if self.feature_store.parts[:1] != ("~",):  # that is for each node to expand; workers run in other folders
            object.__setattr__(self, "feature_store", self.feature_store.absolute())

    @classmethod
    def of(
        cls, study: StudyRecord, paths: RunPaths, given: Mapping[str, Any], may_change: Collection[str]
    ) -> "StudyConfig":
        """The options of a run that is there, wherever it lies now, but for those that are given anew.

        A record says neither which cluster to trust nor whose code to run: --address is given each time, and --space
        if it is not one of ours. The precision is the one that was measured.

        Args:
            study: the run's record.
            paths: of the run.
            given: options; `name` and `storage` among them have said which run is meant.
            may_change: those that may be others than before.

        Raises:
            UserError: an option that may not change, a space that has to be named, or a damaged record.
        """
        place = {"name": paths.name, "storage": paths.root.parent}
        for option in sorted(given.keys() - place.keys() - set(may_change)):
            before, now = study.options.get(option), _plain(given[option])
            if before != now:
                raise UserError(
                    f"{_flag(option)} {_said(now)}: the study was begun with {_said(before)}, which cannot be another "
                    f"here. These can: {', '.join(map(_flag, may_change))}"
                )
        space = str(study.options.get("space"))
        if space not in SPACES and "space" not in given:
            raise UserError(
                f"{paths.root}: its space is code, {space}, which would run now. If you trust it, name it again: "
                f"--space {space}"
            )
        own = {"data": study.data.source, "address": None, "precision": study.precision}
        options = {name: value for name, value in given.items() if name in may_change}
        try:
            return TypeAdapter(cls).validate_python({**study.options, **own, **options, **place})
        except ValidationError as error:
            raise UserError(f"{paths.study} cannot be understood: {first_problem(error)}. It is damaged") from error

    def limits(self) -> Limits:
        """What the models may cost."""
        return Limits(self.max_parameters, self.max_latency)

    def options(self) -> dict[str, Any]:
        """The options as JSON values, for the study's record."""
        values = {item.name: getattr(self, item.name) for item in dataclasses.fields(self) if item.init}
        return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}


def _require(holds: bool, option: str, value: object, rule: str) -> None:
    if not holds:
        raise UserError(f"{_flag(option)} {value}: {rule}")


def _flag(option: str) -> str:
    return f"--{option.replace('_', '-')}"


def _said(value: Any) -> str:
    """As a person gave it."""
    if isinstance(value, dict):
        return ", ".join(f"{name}={one}" for name, one in value.items()) or "none"
    return (",".join(map(str, value)) or "none") if isinstance(value, list) else "none" if value is None else str(value)


def _plain(value: Any) -> Any:
    """As JSON has it."""
    return json.loads(json.dumps(value, default=str))


def parsed(texts: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a command line's options that `StudyConfig` has, as it has them: lists, settings, durations are texts.

    Raises:
        UserError: a text that is none of those.
    """
    found = {item.name: texts[item.name] for item in dataclasses.fields(StudyConfig) if item.init}
    for option in ("recipes", "warm_start", "backbones"):
        found[option] = None if texts[option] is None else names(texts[option])
    budget = texts["time_budget"]
    found["time_budget"] = None if budget in (None, "none") else seconds("--time-budget", budget)
    found["trial_timeout"] = seconds("--trial-timeout", texts["trial_timeout"])
    return found | {"fix": settings(texts["fix"] or ())}


def seconds(option: str, text: str) -> float:
    """A duration such as `90s`, `30m`, `1.5h` or `2d`, given to that option, in seconds; a bare number counts seconds.

    Raises:
        UserError: anything else.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", text.strip())
    if not match:
        raise UserError(f"{option} {text!r} must be a number of seconds, or one with a unit: 90s, 30m, 1.5h or 2d")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]


def names(text: str) -> tuple[str, ...]:
    """Names separated by commas."""
    return tuple(filter(None, map(str.strip, text.split(","))))


def settings(texts: Sequence[str]) -> dict[str, Value]:
    """What --fix says, as in `blocks=3`: numbers, true and false as JSON has them, everything else as text.

    Raises:
        UserError: a text without a name or a value, or a name twice.
    """
    found: dict[str, Value] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise UserError(f"--fix {text!r} must be NAME=VALUE, such as --fix augmentation=standard")
        if name in found:
            raise UserError(f"--fix {text}: {name} is fixed at {found[name]} already; give one of the two")
        found[name] = _value(value)
    return found


def _value(text: str) -> Value:
    try:
        value = json.loads(text.lower() if text in ("True", "False") else text)
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float) else text


def read_configurations(file: Path) -> list[dict[str, Any]]:
    """The configurations of a --configs file: a JSON list of objects.

    Raises:
        UserError: the file is missing, is not JSON, or is not such a list.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"--configs {file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"--configs {file} is not JSON: {error}") from error
    if not (isinstance(found, list) and found and all(isinstance(item, dict) for item in found)):
        raise UserError(
            f"--configs {file} must be a JSON list of one or more objects, each from hyperparameter names to values"
        )
    return found
