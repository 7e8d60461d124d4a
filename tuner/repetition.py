"""One trial of a run, trained once more from its record: does it come out as it did?"""

import dataclasses
import shutil
from typing import TYPE_CHECKING, TextIO

from results.paths import RunPaths
from results.records import TrialRecord, TrialState, read_trials
from results.remote import existing_run
from results.wording import counted
from search_spaces.errors import UserError
from tuner.budget import Budget
from tuner.clock import StudyClock
from tuner.config import StudyConfig
from tuner.trial.datasets import ImageData
from tuner.trial.limits import Limits

if TYPE_CHECKING:
    from tuner.trainable import TrialSettings

MAY_CHANGE = (
    "cpus_per_trial", "gpus_per_trial", "trial_timeout", "feature_store", "feature_store_gb", "data",
    "leave_out", "strict", "weights", "address", "dashboard",
)  # fmt: skip
"""Options: where it is trained, but not what."""
ALIKE = 1e-3
"""Losses that differ by no more do so by how sums are rounded."""


def named_trial(text: str, storage: str) -> tuple[RunPaths, TrialRecord]:
    """What --repeat RUN:TRIAL names: a run in `storage`, or a folder, and the number of one of its trials.

    Raises:
        UserError: there is no such run or trial.
    """
    run, colon, number = text.rpartition(":")
    if not (colon and run and number.isdecimal()):
        raise UserError(f"--repeat {text} must be RUN:TRIAL, such as --repeat finetune-20260102-030405:7")
    paths = existing_run(RunPaths.place_of(run, storage))
    trials = {trial.trial: trial for trial in read_trials(paths)}
    if int(number) not in trials:
        last = max(trials, default=None)
        raise UserError(f"--repeat {text}: {run} has no trial {number}; " + (
            "it has none at all" if last is None else f"its last one is {last}"
        ))  # fmt: skip
    return paths, trials[int(number)]


def repeat(
    config: StudyConfig, trial: TrialRecord, data: ImageData, settings: "TrialSettings", terminal: TextIO
) -> None:
    """Train it for as many epochs as it had, of a schedule as long as its own, and show both curves side by side."""
    from tuner.finalists import Run, train

    paths = config.paths.within("repeated", config.paths.trial(trial.trial).name)
    shutil.rmtree(paths.root, ignore_errors=True)  # of an earlier repetition, in this machine's copy of the run
    paths.files.clear()  # and where it is kept
    paths.root.mkdir(parents=True, exist_ok=True)
    further = 1 if trial.state is TrialState.FAILED else 0  # the one that it failed in
    until = min(len(trial.epochs) + further, config.max_epochs) or config.max_epochs
    print(f"Trial {trial.trial} of {config.paths.name} once more: seed {config.seed}, {counted(until, 'epoch')}",
          file=terminal, flush=True)  # fmt: skip
    run = Run(trial.trial, trial.configuration, config.seed, until)
    own = dataclasses.replace(settings, run=paths, kept=1, limits=Limits())
    found = train(config, own, [run], until, data, Budget(StudyClock()), lambda record: None,
                  lambda note: print(note, file=terminal, flush=True))  # fmt: skip
    for line in compared(trial, found[trial.trial]):
        print(line, file=terminal, flush=True)


def compared(before: TrialRecord, now: TrialRecord) -> list[str]:
    """Both curves, and how far they are apart."""
    lines = ["epoch  validation accuracy then      now   validation loss then      now"]
    for one, other in zip(before.epochs, now.epochs, strict=False):
        lines.append(f"{one.epoch:5}  {one.val_accuracy:24.4f} {other.val_accuracy:8.4f}   "
                     f"{one.val_loss:20.4f} {other.val_loss:8.4f}")  # fmt: skip
    if now.state is TrialState.FAILED:
        lines.append(f"It failed: {now.reason}")
    if before.state is TrialState.FAILED:
        lines.append(f"It had failed then: {before.reason}")
    apart = [abs(one.val_loss - other.val_loss) for one, other in zip(before.epochs, now.epochs, strict=False)]
    if apart:
        verdict = "the same" if max(apart) <= ALIKE else "not the same, as of other code, libraries or processors"
        if len(before.epochs) != len(now.epochs):
            verdict += f", as far as both have got ({counted(len(apart), 'epoch')})"
        lines.append(f"The validation losses are at most {max(apart):.2g} apart: {verdict}")
    return lines
