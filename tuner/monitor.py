"""What a person sees while a search runs: a live table on a terminal, plain lines elsewhere."""

from collections.abc import Sequence
from typing import TextIO

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from results.records import UNCOUNTED, TrialRecord, TrialState
from results.wording import counted, duration
from search_spaces.configuration import one_line
from tuner.clock import StudyClock
from tuner.notebook import LiveOutput, is_notebook
from tuner.progress import Progress

BAR = 24
"""Width of the bar that shows how many trials have ended."""
SHOWN = 8
"""Rows of the live table: the running trials, then the best of the others."""


class Monitor:
    """Shows trials while they run; a context manager around them.

    Args:
        name: what they are together.
        trials: how many there will be.
        max_epochs: of each.
        terminal: where to show them.
        clock: how long it has been going on.
        time_budget: seconds on that clock, if they end with it.
        known: those that there are already.
    """

    def __init__(
        self,
        name: str,
        trials: int,
        max_epochs: int,
        terminal: TextIO,
        clock: StudyClock,
        time_budget: float | None = None,
        known: Sequence[TrialRecord] = (),
    ) -> None:
        in_notebook = is_notebook()
        self.console = Console(file=terminal, highlight=False, markup=False, emoji=False, force_jupyter=False)
        self._is_live = in_notebook or self.console.is_terminal
        self._name, self._count, self._max_epochs, self._time_budget = name, trials, max_epochs, time_budget
        self._progress = Progress(known, SHOWN)
        self._clock = clock
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
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        """One plain line."""
        self.console.print(text, soft_wrap=True)

    def changed(self, record: TrialRecord) -> None:
        """A trial began, finished an epoch, or ended."""
        best_before = self._progress.best
        self._progress.put(record)
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
            configuration = f": {one_line(best.configuration)}" if is_new and best.seed is None else ""
            self.say(
                f"[{duration(self._clock())}] best so far {_percent(best)}: {_called(best)}, epoch {epoch}"
                f"{configuration}"
            )

    def close(self) -> None:
        """There will be no further change; what there was is shown until the block ends."""

    def _summary(self) -> str:
        counts = self._progress.counts
        text = ", ".join(
            f"{counts[state]} {state.lower()}"
            for state in TrialState
            if counts[state] or state not in (*UNCOUNTED, TrialState.INTERRUPTED)
        )
        left = self._seconds_left()
        return f"{text}; {self._progress.ended} of {self._count} ended" + (
            f", about {duration(left)} left" if left else ""
        )

    def _seconds_left(self) -> float | None:
        """From the pace of the trials that ended; never more than the budget leaves. None before the first end."""
        budget = self._time_budget
        by_budget = None if budget is None else max(0.0, budget - self._clock())
        ended = self._progress.ended
        if not ended:
            return by_budget
        by_pace = self._clock() / ended * (self._count - ended)
        return by_pace if by_budget is None else min(by_pace, by_budget)

    def _table(self) -> Group:
        best = self._progress.best
        head: list[RenderableType] = [
            Text(f"Thaw  {self._name}  {duration(self._clock())}", style="bold"),
            Columns([ProgressBar(total=self._count, completed=self._progress.ended, width=BAR), Text(self._summary())]),
        ]
        if best:
            head.append(Text(f"best {_percent(best)}  {_called(best)}: {one_line(best.configuration)}", style="green"))
        table = Table(box=None, expand=True, padding=(0, 2, 0, 0), header_style="dim")
        for title in ("trial", "state", "epoch", "val accuracy", "best"):
            table.add_column(title, justify="left" if title == "state" else "right", min_width=len(title), no_wrap=True)
        table.add_column("configuration", ratio=1, no_wrap=True, overflow="ellipsis")
        for trial in self._progress.shown():
            last = trial.epochs[-1] if trial.epochs else None
            table.add_row(
                str(trial.trial),
                trial.state.lower(),
                f"{len(trial.epochs)}/{self._max_epochs}",
                f"{last.val_accuracy:.1%}" if last else "",
                _percent(trial),
                one_line(trial.configuration),
            )
        return Group(*head, table)


def _called(trial: TrialRecord) -> str:
    """A finalist's training is no trial of the search, whose numbers it would seem to have."""
    return f"trial {trial.trial}" if trial.seed is None else f"training {trial.trial} (seed {trial.seed})"


def _percent(trial: TrialRecord) -> str:
    return f"{trial.accuracy:.1%}" if trial.best_epoch else ""


def _ending(trial: TrialRecord) -> str:
    if trial.reason:
        return f"{trial.state.lower()}: {trial.reason}"
    return f"{trial.state.lower()} after {counted(len(trial.epochs), 'epoch')}, best {_percent(trial) or 'none'}"
