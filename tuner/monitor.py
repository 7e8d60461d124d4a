"""What a person sees while a search runs: a live table on a terminal, plain lines elsewhere."""

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TextIO

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from results.paths import RunPaths
from results.records import UNCOUNTED, TrialRecord, TrialState
from results.wording import counted, duration, pace
from search_spaces.configuration import in_short
from search_spaces.hyperparameter import Hyperparameter
from tuner.activity import read
from tuner.clock import StudyClock
from tuner.notebook import LiveOutput, is_notebook
from tuner.progress import Progress
from tuner.time_left import TimeLeft

BAR = 24
"""Width of the bar that shows how many trials have ended."""
SHOWN = 8
"""Rows of the live table: the running trials, then the best of the others."""


PERIOD = 2.0
"""Seconds between two looks at what workers do."""
QUIET = 20.0
"""Seconds without a line after which one says what runs."""


@dataclass(frozen=True)
class Watched:
    """The trials that are shown."""

    name: str
    """What they are together."""
    trials: int
    """How many there will be."""
    max_epochs: int
    """Of each."""
    paths: RunPaths
    """Where they are."""
    declared: Sequence[Hyperparameter] = ()
    """The space, whose defaults are not shown."""
    expected_epochs: float | None = None
    """That one is trained for on average; None is all."""
    time_budget: float | None = None
    """Seconds on the clock, if they end with it."""


class Monitor:
    """Shows trials while they run; a context manager around them.

    Args:
        watched: which trials.
        terminal: where to show them.
        clock: how long it has been going on.
        known: those that there are already.
    """

    def __init__(
        self, watched: Watched, terminal: TextIO, clock: StudyClock, known: Sequence[TrialRecord] = ()
    ) -> None:
        in_notebook = is_notebook()
        self.console = Console(file=terminal, highlight=False, markup=False, emoji=False, force_jupyter=False)
        self._is_live = in_notebook or self.console.is_terminal
        self._watched = watched
        self._progress = Progress(known, SHOWN)
        expected = watched.max_epochs if watched.expected_epochs is None else watched.expected_epochs
        self._time_left = TimeLeft(watched.trials, watched.max_epochs, expected)
        for record in known:
            self._time_left.put(record)
        self._clock = clock
        self._said = time.monotonic()
        self._activities: dict[int, str] = {}
        """Of trials that run, by their numbers."""
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._live: Live | LiveOutput = LiveOutput(self._table)
        if not in_notebook:
            self._live = Live(
                get_renderable=self._table,
                console=self.console,
                refresh_per_second=2,
                transient=True,
                redirect_stdout=False,  # what is printed elsewhere belongs into the log
                redirect_stderr=False,
            )

    def __enter__(self) -> "Monitor":
        if self._is_live:
            self._live.start()
        self._watcher.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._live.stop()

    def say(self, text: str) -> None:
        """One plain line."""
        self._said = time.monotonic()
        self.console.print(text, soft_wrap=True)

    def changed(self, record: TrialRecord) -> None:
        """A trial began, finished an epoch, or ended."""
        best_before = self._progress.best
        self._progress.put(record)
        self._time_left.put(record)
        if self._is_live:
            return
        best = self._progress.best
        is_better = best is not None and (best_before is None or best.accuracy > best_before.accuracy)
        if record.state in UNCOUNTED:
            return  # there may be dozens; the others' lines count them
        if record.state is not TrialState.RUNNING:
            self.say(f"[{duration(self._clock())}] {_called(record)} {_ending(record)} | {self._summary()}")
        elif best is not None and is_better and best.trial == record.trial:
            epoch = best.best_epoch.epoch if best.best_epoch else 0
            # Its configuration once only: it is long.
            is_new = best_before is None or best_before.trial != best.trial
            is_told = is_new and best.seed is None
            configuration = f": {in_short(best.configuration, self._watched.declared)}" if is_told else ""
            self.say(
                f"[{duration(self._clock())}] best so far {_percent(best)}: {_called(best)}, epoch {epoch}"
                f"{_pace(best)}{configuration}"
            )

    def close(self) -> None:
        """There will be no further change; what there was is shown until the block ends."""

    def look(self) -> None:
        """See what workers do; where no line was printed for a while, print it."""
        running = [trial for trial in self._progress.shown() if trial.state is TrialState.RUNNING]
        self._activities = {trial.trial: self._activity(trial) for trial in running}
        if running and not self._is_live and time.monotonic() - self._said >= QUIET:
            named = "; ".join(f"{_called(trial)}: {self._activities[trial.trial]}" for trial in running)
            others = self._progress.counts[TrialState.RUNNING] - len(running)
            more = f"; {counted(others, 'other')}" if others > 0 else ""
            self.say(f"[{duration(self._clock())}] running: {named}{more}")

    def _watch(self) -> None:
        with suppress(OSError, ValueError):  # of a terminal that is gone; the search goes on
            while not self._over.wait(PERIOD):
                self.look()

    def _activity(self, trial: TrialRecord) -> str:
        """As its worker says, else as its record does."""
        known = f"epoch {len(trial.epochs) + 1}" if trial.epochs else "beginning"
        return f"{read(self._watched.paths.activity(trial.trial)) or known}{_pace(trial)}"

    def _summary(self) -> str:
        counts = self._progress.counts
        text = ", ".join(
            f"{counts[state]} {state.lower()}"
            for state in TrialState
            if counts[state] or state not in (*UNCOUNTED, TrialState.INTERRUPTED)
        )
        left = self._seconds_left()
        return f"{text}; {self._progress.ended} of {self._watched.trials} ended" + (
            "" if left is None or left < 0.5 else f", about {duration(left)} left"
        )

    def _seconds_left(self) -> float | None:
        """From measured seconds an epoch; never more than the budget leaves. None before the first epoch."""
        budget, by_epochs = self._watched.time_budget, self._time_left.seconds()
        if budget is None:
            return by_epochs
        by_budget = max(0.0, budget - self._clock())
        return by_budget if by_epochs is None else min(by_epochs, by_budget)

    def _table(self) -> Group:
        best = self._progress.best
        bar = ProgressBar(total=self._watched.trials, completed=self._progress.ended, width=BAR)
        head: list[RenderableType] = [
            Text(f"Thaw  {self._watched.name}  {duration(self._clock())}", style="bold"),
            Columns([bar, Text(self._summary())]),
        ]
        if best:
            configuration = in_short(best.configuration, self._watched.declared)
            head.append(Text(f"best {_percent(best)}  {_called(best)}: {configuration}", style="green"))
        table = Table(box=None, expand=True, padding=(0, 2, 0, 0), header_style="dim")
        for title in ("trial", "state", "epoch", "val accuracy", "best"):
            table.add_column(title, justify="left" if title == "state" else "right", min_width=len(title), no_wrap=True)
        table.add_column("configuration", ratio=1, no_wrap=True, overflow="ellipsis")
        for trial in self._progress.shown():
            last = trial.epochs[-1] if trial.epochs else None
            table.add_row(
                str(trial.trial),
                self._state(trial),
                f"{len(trial.epochs)}/{self._watched.max_epochs}",
                f"{last.val_accuracy:.1%}" if last else "",
                _percent(trial),
                in_short(trial.configuration, self._watched.declared),
            )
        return Group(*head, table)

    def _state(self, trial: TrialRecord) -> str:
        is_running = trial.state is TrialState.RUNNING
        return self._activities.get(trial.trial, "running") if is_running else trial.state.lower()


def _called(trial: TrialRecord) -> str:
    """A finalist's training is no trial of the search, whose numbers it would seem to have."""
    return f"trial {trial.trial}" if trial.seed is None else f"training {trial.trial} (seed {trial.seed})"


def _percent(trial: TrialRecord) -> str:
    return f"{trial.accuracy:.1%}" if trial.best_epoch else ""


def _pace(trial: TrialRecord) -> str:
    return "" if trial.seconds_an_epoch is None else f", {pace(trial.seconds_an_epoch)}"


def _ending(trial: TrialRecord) -> str:
    if trial.reason:
        return f"{trial.state.lower()}: {trial.reason}"
    return f"{trial.state.lower()} after {counted(len(trial.epochs), 'epoch')}, best {_percent(trial) or 'none'}"
