"""An answer to Ctrl+C, for whoever waits for it."""

import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ray import tune
from ray.tune.experiment import Trial

HEARD = "Ctrl+C: the trials end where they are; once more ends at once, without a report"


class Acknowledgement(tune.Callback):
    """Says at the first Ctrl+C that it was heard: until the last worker has ended, seconds pass.

    Ray handles that signal itself while its loop runs, so this comes before what Ray does. A SIGTERM, by which systems
    and schedulers end programs, is the same as Ctrl+C.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say: Callable[[str], None] | None = say

    def __getstate__(self) -> dict[str, Any]:
        """Ray Tune keeps a pickle of its callbacks."""
        return {"_say": None}

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Ray calls this when its loop, and its handler, are there."""
        say, self._say = self._say, None
        if say is None or threading.current_thread() is not threading.main_thread():
            return
        rays = signal.getsignal(signal.SIGINT)

        def heard(number: int, frame: Any) -> None:
            with suppress(RuntimeError):  # in the middle of printing something else
                say(HEARD)
            if callable(rays):
                rays(number, frame)

        signal.signal(signal.SIGINT, heard)
        signal.signal(signal.SIGTERM, lambda *signalled: signal.raise_signal(signal.SIGINT))
