"""Which model of a run is handed over."""

from dataclasses import dataclass
from pathlib import Path

from results.best_models import BestModels
from results.leaderboard import leaderboard
from results.paths import RunPaths
from results.records import TestRecord, TrialRecord, read_test, read_trials
from search_spaces.errors import UserError


@dataclass(frozen=True)
class Candidate:
    """A model on disk and what is known of it."""

    file: Path
    trial: TrialRecord
    """Of the search."""
    seed: int | None
    """None: the study's; else it is a finalist's."""
    epoch: int
    val_accuracy: float
    test: TestRecord | None = None
    """None: the test split has not been asked about this very model."""


def candidate(paths: RunPaths, rank: int | None) -> Candidate:
    """The winner among the finalists; without finalists the best of the search; with `rank` that row's model.

    Raises:
        UserError: there is none.
    """
    trials = {trial.trial: trial for trial in read_trials(paths)}
    test = read_test(paths)
    if rank is None and test is not None:
        file = paths.root / test.model
        kept = next(one for one in BestModels(paths.finalists.best).ranked() if one.file == file.name)
        runs = {run.trial: run for run in read_trials(paths.finalists)}
        return Candidate(file, trials[test.trial], runs[kept.trial].seed, kept.epoch, kept.val_accuracy, test)
    # While the study runs a model may be kept a moment before its epoch is recorded.
    kept_models = [one for one in BestModels(paths.best).ranked() if one.epoch <= len(trials[one.trial].epochs)]
    if not kept_models:
        raise UserError(f"{paths.root} has no model yet: no trial has finished an epoch (see {paths.log.name})")
    frame = leaderboard(list(trials.values()), ())
    ranks = dict(zip(frame["trial"].tolist(), frame["rank"].tolist(), strict=True))
    for one in kept_models:
        if rank is None or ranks[one.trial] == rank:
            return Candidate(paths.best / one.file, trials[one.trial], None, one.epoch, one.val_accuracy)
    there = ", ".join(str(ranks[one.trial]) for one in kept_models)
    raise UserError(f"--rank {rank}: that model was not kept; those of rank {there} were (search again with --configs)")
