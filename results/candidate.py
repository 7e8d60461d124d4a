"""Which model of a run is handed over."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from results import commands
from results.best_models import BestModels
from results.finalists import handed_over, ranked
from results.leaderboard import leaderboard
from results.paths import RunPaths
from results.records import TestRecord, TrialRecord, TrialState, read_test, read_trials
from search_spaces.errors import UserError


@dataclass(frozen=True)
class Member:
    """A model on disk and what is known of it."""

    file: Path
    trial: TrialRecord
    """Of the search."""
    seed: int | None
    """None: the study's; else it is a finalist's."""
    epoch: int
    val_accuracy: float | None
    """None where the validation images were in its training."""


@dataclass(frozen=True)
class Candidate:
    """What is exported: one model, or several whose probabilities are averaged."""

    members: tuple[Member, ...]
    test: TestRecord | None = None
    """None: the test split has not been asked about this very model."""


def candidate(paths: RunPaths, rank: int | None = None, ensemble: int | None = None) -> Candidate:
    """The winner among the finalists; without finalists the best of the search; with `rank` that row's model.

    With `ensemble` so many of the finalists' models, those with the highest validation accuracies.

    Raises:
        UserError: there are none.
    """
    trials, again = read_trials(paths), read_trials(paths.finalists)
    searched = {trial.trial: trial for trial in trials}
    members = members_of(paths, trials, again)
    if ensemble is not None:
        return Candidate(_first(paths, members, ensemble))
    if rank is not None:
        return Candidate((_searched(paths, searched, rank),))
    if (test := read_test(paths)) is not None:
        return Candidate((_tested(paths, test, searched),), test)
    first = handed_over(ranked(trials, again), None)
    own = [member for member in members if member.trial.trial == first]
    return Candidate((own[0] if own else _searched(paths, searched, None),))


def searched_best(paths: RunPaths) -> Member:
    """The best model of the search itself.

    Raises:
        UserError: none was kept, or another driver has it.
    """
    return _searched(paths, {trial.trial: trial for trial in read_trials(paths)}, None)


def members_of(paths: RunPaths, searched: Sequence[TrialRecord], again: Sequence[TrialRecord]) -> list[Member]:
    """The models of the finalists' trainings that finished, the one that validates best first.

    Args:
        paths: of the run.
        searched: the trials of the search.
        again: the trainings of finalists.
    """
    runs = {run.trial: run for run in again}
    found, seen = [], set()
    for one in BestModels(paths.finalists.best).ranked():
        run = runs.get(one.trial)
        same = (trial for trial in searched if run and trial.best_epoch and trial.configuration == run.configuration)
        origin = next(same, None)
        file = paths.finalists.best / one.file
        if run is None or origin is None or run.state is not TrialState.DONE or not file.is_file():
            continue
        if (origin.trial, run.seed) not in seen:  # an earlier attempt may have reached the same
            seen.add((origin.trial, run.seed))
            found.append(Member(file, origin, run.seed, one.epoch, one.val_accuracy))
    return found


def _tested(paths: RunPaths, test: TestRecord, trials: dict[int, TrialRecord]) -> Member:
    file = paths.root / test.model
    if test.trial not in trials:
        raise UserError(f"{paths.trial_record(test.trial)} is not there: the record of the winner was removed")
    kept = next((one for one in BestModels(file.parent).ranked() if one.file == file.name), None)
    if kept is None or not file.is_file():
        raise UserError(
            f"{file} is not there: the model that met the test split was removed; "
            f"{commands.finalists_of(paths, open_test_again=True)} trains it again"
        )
    accuracy = None if test.is_retrained else kept.val_accuracy
    if file.parent in (paths.best, paths.handed_over.best):  # the search's own, where no finalist was trained
        return Member(file, trials[test.trial], None, kept.epoch, accuracy)
    seeds = {run.trial: run.seed for run in read_trials(paths.retrained if test.is_retrained else paths.finalists)}
    return Member(file, trials[test.trial], seeds[kept.trial], kept.epoch, accuracy)


def _first(paths: RunPaths, members: Sequence[Member], count: int) -> tuple[Member, ...]:
    if len(members) < count:
        more = commands.finalists_of(paths, finalist_seeds=count, open_test_again=paths.test.is_file())
        raise UserError(f"--ensemble {count}: the run has {len(members)} models of finalists; {more} trains more")
    return tuple(members[:count])


def _searched(paths: RunPaths, trials: dict[int, TrialRecord], rank: int | None) -> Member:
    # While the study runs a model may be kept a moment before its epoch is recorded.
    kept = [
        one
        for one in BestModels(paths.best).ranked()
        if one.trial in trials and one.epoch <= len(trials[one.trial].epochs)
    ]
    if not kept:
        raise UserError(f"{paths.root} has no model yet: no trial has finished an epoch (see {paths.log.name})")
    frame = leaderboard(list(trials.values()), ())
    ranks = dict(zip(frame["trial"].tolist(), frame["rank"].tolist(), strict=True))
    best = max(trials.values(), key=lambda trial: trial.accuracy)
    if rank is None and best.driver and best.accuracy > kept[0].val_accuracy:
        raise UserError(
            f"the best trial, {best.trial}, is another driver's, and its model is in that driver's run directory: "
            f"export there, take this driver's best by --rank {ranks[kept[0].trial]}, or let scripts/finalists.py "
            "train it here"
        )
    for one in kept:
        if rank is None or ranks[one.trial] == rank:
            return Member(paths.best / one.file, trials[one.trial], None, one.epoch, one.val_accuracy)
    there = ", ".join(str(ranks[one.trial]) for one in kept)
    raise UserError(f"--rank {rank}: that model was not kept; those of rank {there} were (search again with --configs)")
