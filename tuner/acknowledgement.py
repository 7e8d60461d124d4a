"""An answer to Ctrl+C, for whoever waits for it."""

import signal
import threading
from collections.abc import Callable
from typing import Any

from ray import tune
from ray.tune.experiment import Trial

from tuner.interrupt import pressed

HEARD = "Ctrl+C: the trials end where they are; once more ends at once, without a report"


class Acknowledgement(tune.Callback):
    """Says at the first Ctrl+C that it was heard: until the last worker has ended, seconds pass.

    Ray handles that signal itself while its loop runs; this does so around it.
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
        if not callable(rays) or not getattr(rays, "__module__", "").startswith("ray."):
            return  # it was pressed before, and Ray has put back what was there

        def heard(number: int, frame: Any) -> None:
            rays(number, frame)
            if not pressed.is_set():  # and not because Ray has died
                # What prints may be in the middle of printing, or its reader gone: not here.
                threading.Thread(target=say, args=(HEARD,), daemon=True).start()
            pressed.set()

        signal.signal(signal.SIGINT, heard)
