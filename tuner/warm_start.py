"""What earlier runs found, for a study to begin with."""

import dataclasses
from collections.abc import Sequence
from typing import TextIO

from results.paths import RunPaths
from results.records import DataRecord, StudyRecord, TrialRecord, TrialState
from results.wording import counted
from search_spaces.configuration import complete
from search_spaces.errors import UserError
from search_spaces.hyperparameter import Hyperparameter
from tuner.config import StudyConfig
from tuner.earlier_runs import earlier_runs
from tuner.proposal.proposer import Proposer
from tuner.replay import EXCUSES, end
from tuner.trial.errors import OUT_OF_MEMORY

ENDED = (TrialState.DONE, TrialState.STOPPED, TrialState.INTERRUPTED, TrialState.FAILED)
"""States of trials from which something can be learned; what was infeasible there may be feasible here."""


def warm_start(
    config: StudyConfig, space: Sequence[Hyperparameter], data: DataRecord, terminal: TextIO
) -> list[TrialRecord]:
    """Those runs' trials that can be used; `terminal` is told how many.

    A trial can be used if its configuration is one of this space. Those that can are known, not tried again, and not
    part of the new study: their numbers are negative.

    Raises:
        UserError: as `earlier_runs`, or a run on images of other classes.
    """
    found: list[TrialRecord] = []
    for paths, study, trials in earlier_runs(config):
        if study.data.class_names != data.class_names:
            raise UserError(
                f"--warm-start {paths.name}: it was trained on images of other classes "
                f"({len(study.data.class_names)}, of {study.data.source}): "
                "their accuracies say nothing here; leave the run out"
            )
        ended = [trial for trial in trials if trial.state in ENDED]
        usable = [known for trial in ended if (known := _of(space, trial)) is not None]
        to_the_end = study.options["max_epochs"] >= config.max_epochs
        for trial in usable:
            # What was trained for fewer epochs than are asked for here is not done here.
            state = TrialState.STOPPED if trial.state is TrialState.DONE and not to_the_end else trial.state
            found.append(dataclasses.replace(trial, trial=-1 - len(found), state=state))
        line = _line(paths, study, data, len(usable), len(ended) - len(usable), len(trials) - len(ended))
        print(line, file=terminal, flush=True)
    return found


def tell(proposer: Proposer, trials: Sequence[TrialRecord]) -> None:
    """Let the proposer know of such trials."""
    for trial in trials:
        proposer.begin(trial.trial, trial.configuration)
        for epoch in trial.epochs:
            proposer.report(trial.trial, epoch.epoch, epoch.val_accuracy)
        end(proposer, trial, excuses=(*EXCUSES, OUT_OF_MEMORY))


def _of(space: Sequence[Hyperparameter], trial: TrialRecord) -> TrialRecord | None:
    """With its configuration as this space writes it, by which it is known again; None if it is not of this space."""
    try:
        configuration = complete(space, trial.configuration)
    except UserError:
        return None
    is_whole = configuration.keys() == trial.configuration.keys()
    return dataclasses.replace(trial, configuration=configuration) if is_whole else None


def _line(paths: RunPaths, study: StudyRecord, data: DataRecord, usable: int, strange: int, unfinished: int) -> str:
    images = "" if study.data.fingerprint == data.fingerprint else ", trained on other images or another split of them"
    rest = ""
    if strange:
        rest += f"; {strange:,} of another space or outside this one's ranges"
    if unfinished:
        rest += f"; {unfinished:,} infeasible, skipped or not ended"
    if not usable:
        return f"Warm start: nothing is learned from {paths.name}: it has no trial that can be used{rest}"
    return f"Warm start: {counted(usable, 'trial')} of {paths.name} known{images}{rest}"
