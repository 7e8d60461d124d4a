"""What a user asks for: the one thing that a script builds and that everything else reads."""

import dataclasses
import datetime
import json
import math
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from results.paths import CACHE, RunPaths
from results.records import StudyRecord, first_problem
from results.run_files import is_uri
from search_spaces.errors import UserError
from search_spaces.hyperparameter import Value
from search_spaces.registry import SPACES
from tuner.options import coerced, described, flag, names, option, seconds, settings
from tuner.trial.limits import Limits

SCHEDULERS = ("asha", "none")
PRECISIONS = ("auto", "float32", "bfloat16")
DEFAULT_STORE = CACHE / "features"
FINALISTS_SHARE = 0.5
"""Of the search's time budget the finalists have so much again."""
UNTRUSTED = ("address", "mlflow")
"""Options that no record is believed: where a search would connect to."""


@described
@dataclass(frozen=True)
class StudyConfig:
    """The options of one study, checked when it is made; fields are named as search.py's options.

    Raises:
        UserError: an option out of its range.
    """

    space: str = option("finetune", "finetune, custom_cnn, or PACKAGE.MODULE:NAME of a KerasTuner HyperModel.")
    data: str = option("cifar10", "cifar10, digits, a folder with a subfolder a class, or of splits, or .npz.")
    image_size: int | None = option(None, "Side in pixels. Default: their own if alike and square, or 96.")
    strict: bool = option(False, "A file that is not used is an error: no image, or one that does not decode.")
    leave_out: tuple[str, ...] = option((), "Classes, or other folders beside them in --data, to ignore.", names)
    weights: str = option("imagenet", "imagenet, none, a file, or a folder of BACKBONE.weights.h5.")
    backbones: tuple[str, ...] | None = option(
        None, "Those that finetune may choose. Default: all whose weights can be had.", names
    )
    trials: int = option(20, "Number of configurations to try.")
    max_epochs: int = option(20, "Epochs of a trial that is not stopped early.")
    time_budget: float | None = option(
        None,
        "End the search after this long: 90s, 30m, 1.5h, 2d, none. Finalists: up to half of it more.",
        seconds,
    )
    recipes: tuple[str, ...] = option((), "Known systems to try first, or all; they count among --trials.", names)
    configs: Path | None = option(None, "JSON list of configurations to try first; they count, too.")
    fix: Mapping[str, Value] = option(dict, "Keep a hyperparameter there; repeatable.", settings)
    warm_start: tuple[str, ...] = option((), "Runs of the same space and classes to learn from.", names)
    max_parameters: int | None = option(None, "Train no model that has more.")
    max_latency: float | None = option(None, "Train no model that takes more milliseconds for an image.")
    scheduler: str = option("asha", "asha stops weak trials early; none trains all to the end.")
    grace_epochs: int = option(1, "Epochs before ASHA may stop a trial: its first rung.")
    reduction_factor: float = option(3.0, "ASHA lets about one in this many go on from each rung.")
    max_failures: int = option(3, "Lost workers after which a trial is given up.")
    trial_timeout: float | None = option(6 * 3600.0, "A trial fails if it finishes no epoch within this time.", seconds)
    concurrency: int | None = option(None, "Most trials at a time. Default: as many as fit.")
    cpus_per_trial: float | None = option(None, "CPUs (threads) of a trial. Default: 1, or a GPU's share.")
    gpus_per_trial: float | None = option(None, "GPUs of a trial, or a share. Default: what it needs.")
    precision: str = option("auto", "float32, bfloat16, or auto: the faster one here, measured once.")
    feature_store: Path = option(DEFAULT_STORE, "Folder of what frozen layers put out, on each node, kept for later.")
    feature_store_gb: float = option(20.0, "What it may hold; what was used longest ago goes first. 0: none.")
    views: int = option(0, "Augmented views of each image to keep; 0 augments anew in each epoch.")
    finalists: int = option(3, "Most configurations to train again at the end. 0: the test split stays shut.")
    finalist_seeds: int = option(3, "New seeds for each finalist.")
    retrain: bool = option(False, "Then train the winner on the validation images too.")
    seed: int = option(0, "Draws splits, configurations and weights.")
    name: str | None = option(None, "Of the run. Default: the space and the time.")
    storage: str = option("runs", "Folder of runs, or where an object store has them: s3://BUCKET/RUNS, gs://...")
    study_storage: str | None = option(
        None, "Database of a study that several drivers work on: postgresql://USER@HOST/DATABASE. Default: in the run."
    )
    address: str | None = option(
        None, "Of a running Ray cluster: auto, HOST:PORT, ray://HOST. Default: start Ray here."
    )
    dashboard: bool = option(
        True, "Start Ray's dashboard on 127.0.0.1; at --address it is the cluster's.", flag="--dashboard/--no-dashboard"
    )
    monitor: bool = option(False, "Show the trials in optuna-dashboard, on 127.0.0.1.", flag="--monitor/--no-monitor")
    tensorboard: bool = option(False, "Write logs for TensorBoard into the run.", flag="--tensorboard/--no-tensorboard")
    mlflow: str | None = option(None, "Log trials to this MLflow server or store, such as sqlite:///mlflow.db.")
    paths: RunPaths = field(init=False)

    def __post_init__(self) -> None:
        if not isinstance(self.data, str | os.PathLike):
            raise UserError("--data: arrays and data sets go beside the options: run_study(config, (images, labels))")
        given = {item.name: getattr(self, item.name) for item in dataclasses.fields(self) if item.init}
        for name, value in coerced(type(self), given).items():
            object.__setattr__(self, name, value)
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
        for name, least in at_least.items():
            value = getattr(self, name)
            _require(value is None or value >= least, name, value, f"must be at least {least}")
        floats = (
            "cpus_per_trial",
            "gpus_per_trial",
            "time_budget",
            "trial_timeout",
            "reduction_factor",
            "feature_store_gb",
            "max_latency",
        )
        for name in floats:
            value = getattr(self, name)
            _require(value is None or math.isfinite(value), name, value, "must be finite")
        for name in ("cpus_per_trial", "time_budget", "trial_timeout", "max_latency"):
            value = getattr(self, name)
            _require(value is None or value > 0, name, value, "must be more than 0")
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
        self._check_study_storage()
        _require(
            not re.search("://[^/@]*:[^/@]+@", self.mlflow or ""),
            "mlflow",
            "with a password",
            "it would be written into study.json; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead",
        )
        name = self.name or f"{self.space.rpartition(':')[2]}-{datetime.datetime.now():%Y%m%d-%H%M%S}"
        object.__setattr__(self, "storage", str(self.storage))
        for option_name in ("storage", "data"):
            value = str(getattr(self, option_name))
            _require("\0" not in value, option_name, repr(value), "must have no NUL character")
        rule = "must hold no key, which study.json would tell; AWS's own environment variables and files may"
        bucket = is_uri(self.storage) and urlsplit(self.storage)
        _require(not (bucket and bucket.password), "storage", f"s3://...@{bucket and bucket.hostname}", rule)
        storage, data = Path(self.storage), Path(self.data)
        inside = not is_uri(self.storage) and os.path.isdir(data) and storage.resolve().is_relative_to(data.resolve())
        _require(not inside, "storage", self.storage, f"must not lie inside --data {self.data}: runs are no images")
        object.__setattr__(self, "paths", RunPaths.of(self.storage, name))
        if self.feature_store.parts[:1] != ("~",):  # that is for each node to expand; workers run in other folders
            object.__setattr__(self, "feature_store", self.feature_store.absolute())

    def _check_study_storage(self) -> None:
        if self.study_storage is None:
            return
        url = urlsplit(self.study_storage)
        hidden = f"{url.scheme}://{url.username}:...@{url.hostname}"
        rule = "must have no password, which study.json would tell; put it into ~/.pgpass or PGPASSWORD"
        _require(not url.password, "study_storage", hidden, rule)
        _require("password" not in url.query, "study_storage", hidden, rule)
        rule = "needs a --name, by which its drivers know the study"
        _require(self.name is not None, "study_storage", self.study_storage, rule)

    @classmethod
    def of(
        cls, study: StudyRecord, paths: RunPaths, given: Mapping[str, Any], may_change: Collection[str]
    ) -> "StudyConfig":
        """The options of a run that is there, wherever it lies now, but for those that are given anew.

        A record says neither whom to trust nor whose code to run: --address, --mlflow and --study-storage are given
        each time, and --space if it is not one of ours. The precision is the one that was measured.

        Args:
            study: the run's record.
            paths: of the run.
            given: options; `name` and `storage` among them have said which run is meant.
            may_change: those that may be others than before.

        Raises:
            UserError: an option that may not change, a space that has to be named, or a damaged record.
        """
        place = {"name": paths.name, "storage": paths.storage}
        for name in sorted(given.keys() - place.keys() - set(may_change)):
            before, now = study.options.get(name), _plain(given[name])
            if before != now:
                raise UserError(
                    f"{flag(name)} {_said(now)}: the study was begun with {_said(before)}, which cannot be another "
                    f"here. These can: {', '.join(map(flag, may_change))}"
                )
        space = str(study.options.get("space"))
        if space not in SPACES and "space" not in given:
            raise UserError(
                f"{paths.root}: its space is code, {space}, which would run now. If you trust it, name it again: "
                f"--space {space}"
            )
        own = {
            "data": paths.source(study.data.source),
            **dict.fromkeys(UNTRUSTED),
            "study_storage": given.get("study_storage"),
            "precision": study.precision,
        }
        options = {name: value for name, value in given.items() if name in may_change}
        try:
            return TypeAdapter(cls).validate_python({**study.options, **own, **options, **place})
        except ValidationError as error:
            raise UserError(f"{paths.study} cannot be understood: {first_problem(error)}. It is damaged") from error

    @property
    def finalists_budget(self) -> float | None:
        """Seconds that the finalists of a search have, in all sessions together; None for no limit."""
        return None if self.time_budget is None else FINALISTS_SHARE * self.time_budget

    def limits(self) -> Limits:
        """What the models may cost."""
        return Limits(self.max_parameters, self.max_latency)

    def options(self) -> dict[str, Any]:
        """The options as JSON values, for the study's record."""
        values = {item.name: getattr(self, item.name) for item in dataclasses.fields(self) if item.init}
        return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}


def _require(holds: bool, name: str, value: object, rule: str) -> None:
    if not holds:
        raise UserError(f"{flag(name)} {value}: {rule}")


def _said(value: Any) -> str:
    """As a person gave it."""
    if isinstance(value, dict):
        return ", ".join(f"{name}={one}" for name, one in value.items()) or "none"
    return (",".join(map(str, value)) or "none") if isinstance(value, list) else "none" if value is None else str(value)


def _plain(value: Any) -> Any:
    """As JSON has it."""
    return json.loads(json.dumps(value, default=str))


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
