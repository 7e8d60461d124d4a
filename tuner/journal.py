"""The study as Optuna stores it: a journal in the run directory, for Optuna's own tools to read.

What is true of a trial is in its record; the journal is made anew from the records when a search is taken up again,
because Optuna cannot take back that a trial ended, and because a crash may have cut it short.
"""

import datetime
from collections.abc import Sequence
from pathlib import Path

import optuna
import optuna.storages.journal
from optuna.trial import FrozenTrial, TrialState, create_trial

from results import records
from results.records import TrialRecord
from tuner.proposal.suggestion import Suggestions

NEVER_BEGAN = "never began: the search ended before"


def create_study(journal: Path, name: str) -> optuna.Study:
    """A new Optuna study in the run's journal, maximising. It samples nothing: each trial is given its values."""
    journal.unlink(missing_ok=True)
    # Optuna's lock outlives a process that is killed while it writes. Only one process at a time has the run.
    journal.with_name(f"{journal.name}.lock").unlink(missing_ok=True)
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(journal)))
    sampler = optuna.samplers.RandomSampler(seed=0)
    study = optuna.create_study(study_name=name, storage=storage, sampler=sampler, direction="maximize")
    study.set_metric_names(["val_accuracy"])  # for who looks at it
    return study


def restore(
    study: optuna.Study, suggestions: Suggestions, trials: Sequence[TrialRecord], began: datetime.datetime
) -> None:
    """Fill a new study with trials that have records, under their numbers; those that are to go on run.

    Args:
        study: without trials.
        suggestions: of the space.
        trials: by number.
        began: when the study did.
    """
    known = {trial.trial: trial for trial in trials}
    for number in range(max(known, default=-1) + 1):
        trial = known.get(number)
        frozen = create_trial(state=TrialState.FAIL, user_attrs={"failure": NEVER_BEGAN})
        if trial is not None:
            frozen = _frozen(suggestions.trial(trial.configuration), trial, began)
        study._storage.create_new_trial(study._study_id, frozen)


def _frozen(frozen: FrozenTrial, trial: TrialRecord, began: datetime.datetime) -> FrozenTrial:
    """As Optuna would have it by now."""
    frozen.intermediate_values = {epoch.epoch: epoch.val_accuracy for epoch in trial.epochs}
    frozen.datetime_start = began + datetime.timedelta(seconds=trial.started)
    if trial.state in records.TO_GO_ON:
        return frozen
    frozen.datetime_complete = frozen.datetime_start + datetime.timedelta(seconds=trial.seconds)
    frozen.state, value = outcome(trial)
    if value is not None:
        frozen.values = [value]
    else:
        frozen.set_user_attr("failure", trial.reason)
    return frozen


def outcome(trial: TrialRecord) -> tuple[TrialState, float | None]:
    """What Optuna knows of a trial that is over: its state, and the value, which one that failed has not."""
    if trial.state is records.TrialState.DONE and trial.epochs:
        return TrialState.COMPLETE, trial.accuracy
    if trial.state is records.TrialState.STOPPED and trial.epochs:
        return TrialState.PRUNED, trial.epochs[-1].val_accuracy  # as `Study.tell` does
    return TrialState.FAIL, None
