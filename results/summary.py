"""What search.py prints at the end: the best rows, where things are, and what to type next."""

from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import pandas as pd
from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from results.best import best_trial, next_commands
from results.feature_cache import gigabytes, used
from results.finalists import failed, outcome, ranked
from results.leaderboard import MEASURES, failures, leaderboard
from results.paths import RunPaths
from results.records import StudyRecord, TrialRecord, read_study, read_test, read_trials
from results.wording import TITLES, cell, counted, from_here, stored_features
from search_spaces.configuration import in_short
from search_spaces.hyperparameter import Hyperparameter

ROWS = 5


def print_summary(paths: RunPaths, file: TextIO | None = None) -> int:
    """Print the leaderboard's top rows, the paths and the next commands, to standard output or a file.

    Returns:
        The exit status for a shell: 1 if no trial finished an epoch.
    """
    console = Console(file=file, highlight=False, markup=False, emoji=False, force_jupyter=False)
    trials, again = read_trials(paths), read_trials(paths.finalists)
    study, test = read_study(paths), read_test(paths)
    finalists = ranked(trials, again)
    frame = leaderboard(trials, study.hyperparameters)
    top = frame[frame["rank"].notna()].head(ROWS)
    if top.empty:
        _print_nothing_ranked(console, paths, trials)
    else:
        if len(trials) > len(top):
            console.print(f"\nThe best {len(top)} of {counted(len(trials), 'trial')}:")
        console.print(_measures(top))
        console.print(_configurations(top, trials, study.declared))
        for sentence in outcome(finalists, test, len(study.test_openings)):
            console.print(sentence, soft_wrap=True)
        for reason, numbers in failures(failed(again)).items():
            console.print(f"{counted(len(numbers), 'training')} of finalists {reason}", soft_wrap=True)
        if line := stored_features(trials):
            console.print(f"\nFrozen layers: {line}.", soft_wrap=True)
            if line := _feature_cache(study):
                console.print(line, soft_wrap=True)
    console.print()
    console.print(f"Report       {from_here(paths.report)}", soft_wrap=True)
    console.print(f"Leaderboard  {from_here(paths.leaderboard)}", soft_wrap=True)
    winner = best_trial(trials, finalists, test)
    if winner is None:
        return 1
    console.print("\nNext:")
    for command in next_commands(paths, winner, finalists):
        console.print(f"  {command}", soft_wrap=True)
    return 0


def _feature_cache(study: StudyRecord) -> str | None:
    """Where features are on this machine, and how much of its disk they take."""
    folder = study.options.get("feature_store")
    size = used(Path(folder)) if isinstance(folder, str) else 0
    if not size:
        return None
    return (
        f"Features of this and other runs take {gigabytes(size)} in {from_here(Path(str(folder)).expanduser())}; the "
        "folder may be deleted while no search runs."
    )


def _measures(top: pd.DataFrame) -> Padding:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    shown = [name for name in MEASURES if name != "size_mb"]  # all of them are too wide for a terminal
    for name in shown:
        title = TITLES.get(name, name)
        table.add_column(title, justify="left" if name == "state" else "right", no_wrap=" " not in title)
    for values in zip(*(top[name] for name in shown), strict=True):
        table.add_row(*map(cell, shown, values))
    return Padding(table, (1, 0))


def _configurations(top: pd.DataFrame, trials: Sequence[TrialRecord], declared: Sequence[Hyperparameter]) -> Table:
    """Without the defaults; below the measures and not beside them, where a terminal leaves too little room."""
    configurations = {trial.trial: trial.configuration for trial in trials}
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("rank", justify="right")
    title = "configuration, beyond the space's defaults" if declared else "configuration"
    table.add_column(title, overflow="fold")
    for rank, trial in zip(top["rank"], top["trial"], strict=True):
        table.add_row(str(rank), in_short(configurations[trial], declared))
    return table


def _print_nothing_ranked(console: Console, paths: RunPaths, trials: Sequence[TrialRecord]) -> None:
    console.print(f"Nothing to rank: none of {counted(len(trials), 'trial')} finished an epoch.")
    for reason, numbers in failures(trials).items():
        console.print(f"  {counted(len(numbers), 'trial')} {reason}")
    console.print(f"See {from_here(paths.log)}", soft_wrap=True)
