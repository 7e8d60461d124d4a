"""How numbers, cells and paths are written for people."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from results.records import StudyRecord, TrialRecord
from search_spaces.configuration import shown


def percent(share: float) -> str:
    """`98.89 %`."""
    return f"{share * 100:.2f} %"


def points(difference: float) -> str:
    """`0.42 points`, of percent."""
    return f"{difference * 100:.2f} points"


def duration(seconds: float) -> str:
    """`7s`, `3m05s` or `2h07m`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    return f"{whole // 60}m{whole % 60:02}s" if whole < 3600 else f"{whole // 3600}h{whole % 3600 // 60:02}m"


def pace(seconds: float) -> str:
    """`0.42s an epoch`, `12s an epoch` or `3m05s an epoch`."""
    return f"{f'{seconds:.2g}s' if seconds < 10 else duration(seconds)} an epoch"


def printable(text: str) -> str:
    """The text as it can be printed and written down: names of files may be no text (PEP 383)."""
    return text.encode(errors="backslashreplace").decode()


def counted(number: int, noun: str) -> str:
    """`1 trial`, `2 trials`, `1,257 images`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


TITLES = {"val_accuracy": "val accuracy", "best_epoch": "best epoch", "size_mb": "MB", "latency_ms": "ms an image"}
"""Of the leaderboard's columns that are not titled by their names."""


def cell(column: str, value: Any) -> str:
    """One value of the leaderboard; empty where there is none."""
    if pd.isna(value):
        return ""
    match column:
        case "state":
            return str(value).lower()
        case "val_accuracy":
            return percent(value)
        case "seconds":
            return f"{value:.1f}"
        case "size_mb" | "latency_ms":
            return f"{value:.1f}" if value >= 1 else shown(value)
        case "parameters":
            return f"{value:,}"
        case _:
            return shown(value)


def stored_features(trials: Sequence[TrialRecord]) -> str | None:
    """How many trials had frozen layers computed once, and how long that took; None where there were none."""
    seconds = [trial.features for trial in trials if trial.features is not None]
    if not seconds:
        return None
    return (
        f"{len(seconds)} of {counted(len(trials), 'trial')} trained on stored features, which took workers "
        f"{duration(sum(seconds))} in all to find or to compute"
    )


def cost(study: StudyRecord, trials: Iterable[TrialRecord]) -> str:
    """`1.2 CPU hours and 0.6 GPU hours`, which the trials took of what they were given."""
    hours = sum(trial.seconds for trial in trials) / 3600
    given = study.machine.get("trial", {})
    parts = [(given.get("cpus"), "CPU"), (given.get("gpus"), "GPU")]
    return " and ".join(f"{hours * share:.2g} {what} hours" for share, what in parts if share)


def elapsed(trials: Sequence[TrialRecord]) -> float:
    """Seconds from when they began to the end of the last one."""
    return max((trial.started + trial.seconds for trial in trials), default=0.0)


def plain(text: object) -> str:
    """Text that somebody else wrote, so that Markdown and HTML see no markup in it."""
    return "".join(f"&#{ord(sign)};" if sign in "<>&|`*_[]\\#" else sign for sign in str(text))


NO_REPORT = "The last session was ended before it could write its report"
"""As a SIGTERM to all processes does it, a power cut, or a second Ctrl+C."""


def from_here(path: Path) -> Path:
    """The path as one would type it: relative when it lies inside the current directory."""
    here = Path.cwd().resolve()
    return path.relative_to(here) if path.is_relative_to(here) else path
