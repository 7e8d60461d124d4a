"""What a worker does between two results, in a file of the trial's folder for whoever waits for them.

On a cluster without a shared folder the driver does not find the file, and says only what it knows of the trial itself.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PERIOD = 1.0
"""Seconds between two changes of a number in the file."""
LONGEST = 200
"""Characters that are read of it."""


class Activity:
    """Written by a worker.

    Args:
        file: to write to, if its folder is there.
        clock: in seconds.
    """

    def __init__(self, file: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._file, self._clock = file, clock
        self._what = ""
        self._written, self._kind = -PERIOD, ""

    def now(self, what: str) -> None:
        """A new activity, such as "epoch 3"; its first word says of which kind."""
        self._what = what
        self._write(what)

    def progress(self, share: float) -> None:
        """So much of it is done."""
        self.within(self._what, share)

    def within(self, what: str, share: float) -> None:
        """So much of another activity is done, which comes before that one can go on."""
        self._write(what, share)

    def _write(self, what: str, share: float | None = None) -> None:
        now, kind = self._clock(), what.partition(" ")[0]
        if kind == self._kind and now - self._written < PERIOD:
            return
        self._written, self._kind = now, kind
        with suppress(OSError):
            self._file.write_text(what if share is None else f"{what}, {100 * share:.0f} %", encoding="utf-8")


def read(file: Path) -> str | None:
    """Return what is written there; None where nothing is."""
    with suppress(OSError, ValueError), file.open(encoding="utf-8") as written:
        return " ".join(written.read(LONGEST).split()) or None
    return None
