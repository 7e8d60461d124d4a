"""Brings a study back to where it was: whoever learns from trials is told of all that have records, in their order."""

import dataclasses
from collections.abc import Iterator, Sequence
from types import SimpleNamespace

from ray.tune.schedulers import TrialScheduler

from results.records import TO_GO_ON, EpochRecord, TrialRecord, TrialState
from tuner.attempts import Attempt
from tuner.proposal.deadline import Deadline
from tuner.proposal.proposer import Proposer
from tuner.trial.errors import NO_NEWS, WORKER_FAILED

EXCUSES = (WORKER_FAILED, NO_NEWS)


def replay(
    trials: Sequence[TrialRecord], max_epochs: int, proposer: Proposer, deadline: Deadline, scheduler: TrialScheduler
) -> list[TrialRecord]:
    """Tell them all that happened, at once and in the order in which it happened.

    Returns:
        The trials as they are now. One that had reached its last epoch, or that the scheduler had decided to stop, may
        not have come to be written down as over; it is here. All others that were not over are INTERRUPTED.
    """
    now = {trial.trial: trial for trial in trials}
    # What was skipped can be proposed again: there may be more time now.
    for trial, event in _events([trial for trial in trials if trial.state is not TrialState.SKIPPED]):
        if event is None:
            begin(trial, proposer, scheduler)
        elif isinstance(event, EpochRecord):
            decision = report(trial, event, proposer, scheduler)
            deadline.observe(trial.configuration, event.epoch, event.ended - trial.started)
            if event is trial.epochs[-1] and trial.state in TO_GO_ON and not trial.driver:
                now[trial.trial] = over = _settled(trial, decision, max_epochs)
                if over.state is not TrialState.INTERRUPTED:
                    end(proposer, over)
        else:
            end(proposer, trial)
    for trial in trials:
        if trial.state in TO_GO_ON and not trial.epochs and not trial.driver:
            now[trial.trial] = dataclasses.replace(trial, state=TrialState.INTERRUPTED)
    return list(now.values())


def begin(trial: TrialRecord, proposer: Proposer, scheduler: TrialScheduler) -> None:
    """Tell them that a trial began."""
    proposer.begin(trial.trial, trial.configuration)
    scheduler.on_trial_add(None, _as_rays(trial))  # type: ignore[arg-type]


def report(trial: TrialRecord, epoch: EpochRecord, proposer: Proposer, scheduler: TrialScheduler) -> str:
    """Tell them of one of a trial's epochs: what the scheduler decides."""
    if epoch.epoch == 1:
        proposer.measure(trial.configuration, _measured(trial))
    proposer.report(trial.trial, epoch.epoch, epoch.val_accuracy)
    result = {"epoch": epoch.epoch, "val_accuracy": epoch.val_accuracy}
    return scheduler.on_trial_result(None, _as_rays(trial), result)  # type: ignore[arg-type]


def end(proposer: Proposer, trial: TrialRecord, excuses: tuple[str, ...] = EXCUSES) -> None:
    """Tell it how a trial ended; a failure whose reason begins with one of the excuses is not the configuration's."""
    is_own_fault = trial.state is TrialState.FAILED and not (trial.reason or "").startswith(excuses)
    is_infeasible = trial.state is TrialState.INFEASIBLE
    if is_infeasible:
        proposer.measure(trial.configuration, _measured(trial))
    proposer.end(trial.trial, trial.state is TrialState.DONE, is_own_fault, is_infeasible)


def attempts(trials: Sequence[TrialRecord]) -> list[Attempt]:
    """Those of this driver that are to go on; one that ran out of memory beside others, alone."""
    return [
        Attempt(
            trial.trial,
            trial.configuration,
            accuracies={epoch.epoch: epoch.val_accuracy for epoch in trial.epochs},
            failure=trial.reason,
        )
        for trial in trials
        if trial.state in TO_GO_ON and not trial.driver
    ]


def _events(trials: Sequence[TrialRecord]) -> Iterator[tuple[TrialRecord, EpochRecord | TrialState | None]]:
    """Beginnings (None), epochs and ends (the state), as they followed on one another."""
    found: list[tuple[float, int, TrialRecord, EpochRecord | TrialState | None]] = []
    for trial in trials:
        found.append((trial.started, 0, trial, None))
        found += [(epoch.ended, 1, trial, epoch) for epoch in trial.epochs]
        if trial.state not in TO_GO_ON:
            found.append((trial.ended, 2, trial, trial.state))
    for *_, trial, event in sorted(found, key=lambda one: one[:2]):
        yield trial, event


def _settled(trial: TrialRecord, decision: str, max_epochs: int) -> TrialRecord:
    state = TrialState.INTERRUPTED
    if len(trial.epochs) >= max_epochs:
        state = TrialState.DONE
    elif decision == TrialScheduler.STOP:
        state = TrialState.STOPPED
    return dataclasses.replace(trial, state=state)


def _measured(trial: TrialRecord) -> dict[str, float | None]:
    return {"parameters": trial.parameters, "file_bytes": trial.file_bytes, "latency": trial.latency}


def _as_rays(trial: TrialRecord) -> SimpleNamespace:
    """As much of it as our scheduler looks at."""
    return SimpleNamespace(config={"trial": trial.trial})
