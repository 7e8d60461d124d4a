"""What is written down of a study and of each trial: frozen records, JSON in and JSON out."""

import datetime
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from results.evaluation import Evaluation
from results.levels import Levels
from results.paths import RunPaths, trial_name
from results.whole_file import write_text
from search_spaces.configuration import Configuration
from search_spaces.errors import UserError
from search_spaces.hyperparameter import Hyperparameter

AWAY = "move its folder away to go on without it"

Finite = Annotated[float, Field(allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=1e10, allow_inf_nan=False)]


def _moment(text: str) -> str:
    if not 2000 < datetime.datetime.fromisoformat(text).year < 3000:
        raise ValueError("is no time of a search")
    return text


Moment = Annotated[str, AfterValidator(_moment)]
"""As `datetime.isoformat` writes it."""


class TrialState(StrEnum):
    """Where a trial stands."""

    RUNNING = "RUNNING"
    STOPPED = "STOPPED"
    """Ended early by the scheduler."""
    INTERRUPTED = "INTERRUPTED"
    """Cut off where it was when the search ended; a resumption goes on with it."""
    DONE = "DONE"
    """Trained for all its epochs."""
    FAILED = "FAILED"
    INFEASIBLE = "INFEASIBLE"
    """Not trained, because its model is beyond a limit of the study."""
    SKIPPED = "SKIPPED"
    """Ended before its first rung, which would have taken too much of the time budget."""


TO_GO_ON = (TrialState.RUNNING, TrialState.INTERRUPTED)
"""States of trials that are not over: what a killed search leaves is RUNNING for ever."""
UNCOUNTED = (TrialState.INFEASIBLE, TrialState.SKIPPED)
"""States of trials that do not count among --trials."""


@dataclass(frozen=True)
class EpochRecord:
    """One epoch of one trial; accuracies are shares of 1, seconds include validation."""

    epoch: int
    loss: Finite
    accuracy: Finite
    val_loss: Finite
    val_accuracy: Finite
    seconds: Seconds
    ended: Seconds
    """After the study's start."""
    cross_entropy: Finite | None = None
    """The loss without penalties and label smoothing, where the model reports it; None in older records."""
    val_cross_entropy: Finite | None = None


@dataclass(frozen=True)
class TrialRecord:
    """One trial: its configuration, its epochs so far, and how it ended."""

    trial: int
    state: TrialState
    configuration: Configuration
    started: Seconds
    """After the study's start."""
    seconds: Seconds = 0.0
    epochs: tuple[EpochRecord, ...] = ()
    parameters: int | None = None
    file_bytes: int | None = None
    """Of its weights as they are saved."""
    latency: float | None = None
    """Milliseconds for one image alone, on the machine that trained it."""
    latency_spread: float | None = None
    """Its standard error, milliseconds: other trials disturb the measurement."""
    features: float | None = None
    """Seconds to find or compute what its frozen layers put out; None when it trained without that."""
    reason: str | None = None
    """Why it failed, or beyond which limit it is."""
    seed: int | None = None
    """Of weights and batches, where it is not the study's: a finalist's."""
    worker: str | None = None
    """Which process trained it last: machine and process number."""
    lost: int = 0
    """How many processes were lost that trained it."""
    driver: str = ""
    """Of a study of several drivers, which other one it belongs to; empty for this run's own."""

    @property
    def best_epoch(self) -> EpochRecord | None:
        """The epoch of the highest validation accuracy, the first of equals; None before any."""
        return max(self.epochs, key=lambda epoch: epoch.val_accuracy, default=None)

    @property
    def seconds_an_epoch(self) -> float | None:
        """What an epoch takes; None before any.

        The median without the first one, which waits for its program to be compiled; where there is no other, the first
        one without what its frozen layers took.
        """
        if not self.epochs:
            return None
        first, *others = (epoch.seconds for epoch in self.epochs)
        return statistics.median(others) if others else max(0.0, first - (self.features or 0.0))

    @property
    def ended(self) -> float:
        """Seconds after the study's start when it was last heard of."""
        return max([self.started + self.seconds, *(epoch.ended for epoch in self.epochs)])

    @property
    def accuracy(self) -> float:
        """Its highest validation accuracy, to put trials in order by: -1 before any epoch, below all others."""
        return self.best_epoch.val_accuracy if self.best_epoch else -1.0


@dataclass(frozen=True)
class DataRecord:
    """The images of a study: where from, how many in each split, and a fingerprint of what trials see."""

    source: str
    image_size: int
    class_names: tuple[str, ...]
    training_images: int
    validation_images: int
    test_images: int
    fingerprint: str
    skipped: tuple[str, ...] = ()
    """Files that did not decode."""
    unused: tuple[str, ...] = ()
    """Files of its folder that are no images of a class."""
    levels: Levels | None = None
    """Of images of more than 8 bits, if there were such."""


@dataclass(frozen=True)
class TestOpening:
    """The test split was looked at: once in a study, unless somebody insists."""

    __test__ = False  # of no interest to pytest

    opened: str
    model: str
    """Whose predictions were compared with it, in words."""


@dataclass(frozen=True)
class StudyRecord:
    """What was asked for and on what: written when the study starts, and again when the test split is opened."""

    name: str
    started: Moment
    command: str
    options: Mapping[str, Any]
    data: DataRecord
    versions: Mapping[str, str]
    machine: Mapping[str, Any]
    precision: Annotated[str, Field(pattern="^(float32|bfloat16)$")]
    """Of all its trainings: measured anew it might be another, and the same trial would end otherwise."""
    hyperparameters: tuple[str, ...] = field(default=())
    """Names, in the order in which the space declares them."""
    declared: tuple[Hyperparameter, ...] = ()
    """The hyperparameters with their ranges and defaults, as they were searched; empty in a record of before."""
    rungs: tuple[int, ...] = ()
    """Epochs after which the scheduler may stop a trial."""
    space: str = ""
    """A digest of all that the space declares."""
    code: str = ""
    """A digest of the file that it is written in, where it is a user's own."""
    needs_code: tuple[str, ...] = ()
    """Layers and functions of its models that Keras does not have: none of them can be loaded, tested or exported."""
    driver: str = ""
    """What this run is called in a study of several drivers."""
    first: tuple[Configuration, ...] = ()
    """What was tried before anything was drawn."""
    resumed: tuple[str, ...] = ()
    """When its search was taken up again."""
    test_openings: tuple[TestOpening, ...] = ()


@dataclass(frozen=True)
class Example:
    """One image of the test split and what the model says of it."""

    file: str
    """A PNG file in the finalists' folder."""
    label: int
    called: int
    probability: float
    """Of the class that it was called."""
    source: str = ""
    """The image's own file, from the data's folder on; empty where images have no files, and in older records."""


@dataclass(frozen=True)
class TestRecord:
    """What the test split says of the model that is handed over."""

    __test__ = False

    opened: str
    trial: int
    """Of the search, whose configuration it is."""
    model: str
    """Its file, from the run's folder on."""
    is_retrained: bool
    """Whether the validation images were in its training."""
    evaluation: Evaluation
    examples: tuple[Example, ...] = ()
    skipped: tuple[str, ...] = ()
    """Test files that did not decode."""


@dataclass(frozen=True)
class KnownTrials:
    """Trials of earlier runs that a study began with."""

    trials: tuple[TrialRecord, ...] = ()


Record = TypeVar("Record", StudyRecord, TrialRecord, TestRecord, KnownTrials)


_ADAPTERS: dict[type, TypeAdapter[Any]] = {
    kind: TypeAdapter(kind) for kind in (StudyRecord, TrialRecord, TestRecord, KnownTrials)
}  # made once, because that takes longer than to read a record


def write(path: Path, record: StudyRecord | TrialRecord | TestRecord | KnownTrials) -> None:
    """Write a record as indented JSON, whole or not at all."""
    write_text(path, _ADAPTERS[type(record)].dump_json(record, indent=2).decode() + "\n")


def to_json(trial: TrialRecord) -> str:
    """A trial's record in one line."""
    text: str = _ADAPTERS[TrialRecord].dump_json(trial).decode()
    return text


def from_json(text: str) -> TrialRecord:
    """What `to_json` made.

    Raises:
        UserError: it is none, or tells what cannot have been.
    """
    try:
        found: TrialRecord = _ADAPTERS[TrialRecord].validate_json(text)
    except ValidationError as error:
        raise UserError(f"a trial's record cannot be understood: {first_problem(error)}") from error
    if wrong := _wrong(found):
        raise UserError(f"the record of trial {found.trial} cannot be understood: {wrong}")
    return found


def read(path: Path, kind: type[Record]) -> Record:
    """Read a record.

    Raises:
        UserError: the file is missing or is not such a record.
    """
    try:
        found: Record = _ADAPTERS[kind].validate_json(path.read_bytes())
        return found
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        remedy = f"; {AWAY}" if kind is TrialRecord else ""
        raise UserError(
            f"{path} cannot be understood: {first_problem(error)}. It is damaged or of another version{remedy}"
        ) from error


def first_problem(error: ValidationError) -> str:
    """Where something is not what it has to be, and what it has to be."""
    first = error.errors()[0]
    return "".join(f"{part}: " for part in first["loc"]) + first["msg"]


def read_study(paths: RunPaths) -> StudyRecord:
    """The record of a run's study."""
    return read(paths.study, StudyRecord)


def read_trials(paths: RunPaths) -> list[TrialRecord]:
    """The records of all trials of a run, by number; also while it runs.

    Raises:
        UserError: one is damaged, or tells what cannot have been.
    """
    return sorted(map(_read_trial, paths.trials.glob("*/trial.json")), key=lambda trial: trial.trial)


def _read_trial(file: Path) -> TrialRecord:
    found = read(file, TrialRecord)
    named = None if file.parent.name == trial_name(found.trial) else f"it is of trial {found.trial}"
    if wrong := named or _wrong(found):
        raise UserError(f"{file} cannot be understood: {wrong}. It is damaged; {AWAY}")
    return found


def _wrong(trial: TrialRecord) -> str | None:
    """What a record tells that cannot have been."""
    numbers = [epoch.epoch for epoch in trial.epochs]
    if numbers != sorted(set(numbers)) or min(numbers, default=1) < 1:
        return "its epochs do not follow on one another"
    times = [trial.started, *(epoch.ended for epoch in trial.epochs)]
    return None if times == sorted(times) else "an epoch ended before it began"


def read_test(paths: RunPaths) -> TestRecord | None:
    """What the test split said, if it was opened.

    Raises:
        UserError: the record is damaged, or names files outside of the run.
    """
    if not paths.test.is_file():
        return None
    found = read(paths.test, TestRecord)
    named = [paths.root / found.model, *(paths.examples / example.file for example in found.examples)]
    for file in named:
        if not file.resolve().is_relative_to(paths.root.resolve()):
            raise UserError(f"{paths.test} names {file}, which is not of that run: do not trust it")
    return found


def read_known(paths: RunPaths) -> tuple[TrialRecord, ...]:
    """The trials of earlier runs that a study began with.

    Raises:
        UserError: as `read_trials`.
    """
    found = read(paths.known, KnownTrials).trials if paths.known.is_file() else ()
    for place, trial in enumerate(found, start=1):
        if wrong := _wrong(trial) or (trial.trial != -place and f"it should be {-place}"):
            raise UserError(f"{paths.known} cannot be understood: trial {trial.trial}: {wrong}. It is damaged")
    return found
