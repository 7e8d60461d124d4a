"""What a run hands over: the best configuration, what is known of it, and its model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from results import commands
from results.candidate import candidate
from results.evaluation import Evaluation
from results.finalists import Finalist, handed_over, ranked
from results.paths import RunPaths
from results.records import TestRecord, TrialRecord, read_study, read_test, read_trials
from results.wording import percent
from search_spaces.configuration import Configuration, one_line
from search_spaces.errors import UserError

if TYPE_CHECKING:
    import keras

    from results.predictor import Predictor


@dataclass(frozen=True)
class Best:
    """The configuration that a run hands over; accuracies are shares of 1."""

    paths: RunPaths
    record: TrialRecord
    """The trial of the search."""
    finalist: Finalist | None
    """Its trainings on new seeds; None without any that finished."""
    test: Evaluation | None
    """What the test split said of its model; None while that is shut."""

    @classmethod
    def read(cls, paths: RunPaths) -> "Best":
        """From a run's records: the model that met the test split, else the first finalist, else the best trial.

        Raises:
            UserError: no trial has finished an epoch, or a record is damaged.
        """
        trials, test = read_trials(paths), read_test(paths)
        finalists = ranked(trials, read_trials(paths.finalists))
        record = best_trial(trials, finalists, test)
        if record is None:
            raise UserError(f"{paths.root} has no best configuration: no trial has finished an epoch")
        own = next((finalist for finalist in finalists if finalist.trial == record.trial), None)
        is_its = test is not None and test.trial == record.trial
        return cls(paths, record, own, test.evaluation if test and is_its else None)

    @property
    def trial(self) -> int:
        """The number of the trial."""
        return self.record.trial

    @property
    def configuration(self) -> Configuration:
        """Its hyperparameters."""
        return self.record.configuration

    @property
    def val_accuracy(self) -> float:
        """What the search saw: optimistic, because the trial was chosen by it."""
        return self.record.accuracy

    @property
    def mean_val_accuracy(self) -> float | None:
        """The mean over the new seeds; None without finalists."""
        return self.finalist.mean if self.finalist else None

    @property
    def test_accuracy(self) -> float | None:
        """On the test split; None while that is shut. `test.interval` holds the true one."""
        return self.test.accuracy if self.test else None

    @property
    def file(self) -> Path:
        """The model, as .keras.

        Raises:
            UserError: it was not kept.
        """
        return candidate(self.paths).members[0].file

    def model(self) -> "keras.Model":
        """The Keras model: pixels of 0..255 (n, side, side, 3) in, probabilities (n, classes) out, in float32.

        Raises:
            UserError: it was not kept, or Keras cannot load it without code of the user's.
        """
        from results.formats import in_float32

        return in_float32(self.file)

    def predictor(self) -> "Predictor":
        """The model with its classes' names, which classifies image files.

        Raises:
            UserError: as `model`.
        """
        from results.predictor import Predictor

        data = read_study(self.paths).data
        return Predictor(self.file, data.class_names, data.levels)

    @property
    def outcome(self) -> str:
        """Which trial it is and how accurate, in words."""
        known = [f"{percent(self.val_accuracy)} in the search"]
        if self.finalist:
            known.append(f"{percent(self.finalist.mean)} on new seeds")
        if self.test:
            known.append(f"{percent(self.test.accuracy)} on the test images")
        return f"trial {self.trial}, accuracy {', '.join(known)}"

    def __repr__(self) -> str:
        return f"Best is {self.outcome}: {one_line(self.configuration)}"


def best_trial(
    trials: Sequence[TrialRecord], finalists: Sequence[Finalist], test: TestRecord | None
) -> TrialRecord | None:
    """The trial of the search whose configuration is handed over; None before any epoch."""
    scored = [trial for trial in trials if trial.best_epoch]
    number = handed_over(finalists, test)
    first = [trial for trial in scored if trial.trial == number]
    return max(first or scored, key=lambda trial: (trial.accuracy, -trial.trial), default=None)


def is_elsewhere(winner: TrialRecord | None, finalists: Sequence[Finalist]) -> bool:
    """Whether its model is in the run directory of another driver; finalists are trained here."""
    return winner is not None and bool(winner.driver) and not finalists


def next_commands(paths: RunPaths, winner: TrialRecord, finalists: Sequence[Finalist]) -> tuple[str, ...]:
    """What to type once a run has a winner: export its model, then classify images with it.

    A line that begins with # says why there is none to export.
    """
    use = commands.predict(commands.MODEL)
    if is_elsewhere(winner, finalists):
        where = "# The best trial is another driver's; in that one's run directory, RUN:"
        return where, commands.export("RUN"), use
    if needed := read_study(paths).needs_code:
        return (f"# Its models cannot be exported: Keras does not load {', '.join(needed)} without the code",)
    run = commands.named(paths)
    if why := _no_model(paths):
        again = commands.finalists_of(paths, open_test_again=paths.test.is_file())
        return f"# There is no model to export: {why}. This trains one:", again, commands.export(run), use
    return commands.export(run), use


def _no_model(paths: RunPaths) -> str | None:
    """Why export.py would fail, if it would. Of a run in an object store, models are there and not on this machine."""
    if paths.remote:
        return None
    try:
        gone = [member.file for member in candidate(paths).members if not member.file.is_file()]
    except UserError as error:
        return str(error)
    return f"{gone[0]} is not there" if gone else None
