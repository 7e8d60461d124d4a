"""What a person sees while a search runs: a live table on a terminal, plain lines elsewhere."""

from collections import Counter
from collections.abc import Sequence
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from results.records import TO_GO_ON, TrialRecord, TrialState
from results.wording import counted, duration
from search_spaces.configuration import one_line
from tuner.clock import StudyClock

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
        self.console = Console(file=terminal, highlight=False, markup=False, emoji=False)
        self._name, self._count, self._max_epochs, self._time_budget = name, trials, max_epochs, time_budget
        self._trials = {trial.trial: trial for trial in known}
        self._clock = clock
        self._live = Live(
            get_renderable=self._table,
            console=self.console,
            refresh_per_second=2,
            transient=True,
            redirect_stdout=False,  # what is printed elsewhere belongs into the log
            redirect_stderr=False,
        )

    def __enter__(self) -> "Monitor":
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        """One plain line."""
        self.console.print(text, soft_wrap=True)

    def changed(self, record: TrialRecord) -> None:
        """A trial began, finished an epoch, or ended."""
        best_before = self._best()
        # A new dict each time: the live table is drawn by another thread.
        self._trials = self._trials | {record.trial: record}
        if self.console.is_terminal:
            return
        best = self._best()
        is_better = best is not None and (best_before is None or best.accuracy > best_before.accuracy)
        if record.state is TrialState.INFEASIBLE:
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

    def _best(self) -> TrialRecord | None:
        scored = [trial for trial in self._trials.values() if trial.best_epoch]
        return max(scored, key=lambda trial: (trial.accuracy, -trial.trial), default=None)

    def _ended(self) -> int:
        return sum(
            trial.state not in (*TO_GO_ON, TrialState.INFEASIBLE)  # these do not count among --trials
            for trial in self._trials.values()
        )

    def _summary(self) -> str:
        counts = Counter(trial.state for trial in self._trials.values())
        text = ", ".join(
            f"{counts[state]} {state.lower()}"
            for state in TrialState
            if counts[state] or state not in (TrialState.INFEASIBLE, TrialState.INTERRUPTED)
        )
        left = self._seconds_left()
        return f"{text}; {self._ended()} of {self._count} ended" + (f", about {duration(left)} left" if left else "")

    def _seconds_left(self) -> float | None:
        """From the pace of the trials that ended; never more than the budget leaves. None before the first end."""
        budget = self._time_budget
        by_budget = None if budget is None else max(0.0, budget - self._clock())
        if not self._ended():
            return by_budget
        by_pace = self._clock() / self._ended() * (self._count - self._ended())
        return by_pace if by_budget is None else min(by_pace, by_budget)

    def _table(self) -> Group:
        best = self._best()
        head = [
            Text(f"Thaw  {self._name}  {duration(self._clock())}", style="bold"),
            Text(self._summary()),
        ]
        if best:
            head.append(Text(f"best {_percent(best)}  {_called(best)}: {one_line(best.configuration)}", style="green"))
        table = Table(box=None, expand=True, padding=(0, 2, 0, 0), header_style="dim")
        for title in ("trial", "state", "epoch", "val accuracy", "best"):
            table.add_column(title, justify="left" if title == "state" else "right", min_width=len(title), no_wrap=True)
        table.add_column("configuration", ratio=1, no_wrap=True, overflow="ellipsis")
        ordered = sorted(
            self._trials.values(), key=lambda trial: (trial.state is not TrialState.RUNNING, -trial.accuracy)
        )
        for trial in ordered[:SHOWN]:
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
