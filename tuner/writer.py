"""What a search writes, written beside it: the search does not wait for a disk or a database."""

import queue
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

from tuner.ending import Ending

Act = Callable[[], object]


class Writer:
    """Does what it is given, in that order, in a thread.

    Args:
        ending: told when something cannot be written.
    """

    def __init__(self, ending: Ending) -> None:
        self._ending = ending
        self._acts: queue.SimpleQueue[Act | None]
        """Of the thread, if there is one."""
        self._thread: threading.Thread | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Ray Tune keeps pickles of what searches, and reads them never: a thread cannot be in one."""
        return {}

    def put(self, act: Act) -> None:
        """Let it be done after all that was given before."""
        if self._thread is None:
            self._acts = queue.SimpleQueue()
            self._thread = threading.Thread(target=self._work, args=(self._acts,), daemon=True)
            self._thread.start()
        self._acts.put(act)

    def close(self) -> None:
        """Wait until all is done. What is given afterwards is done as well, and waited for by the next call.

        Who is interrupted while waiting waits no more: the rest is done as long as the process lives.
        """
        thread, self._thread = self._thread, None
        if thread is not None:
            self._acts.put(None)
            thread.join()

    def _work(self, acts: "queue.SimpleQueue[Act | None]") -> None:
        while (act := acts.get()) is not None:
            try:
                with self._ending.guarded():
                    act()
            except Exception:  # the search goes on with what can be written
                traceback.print_exc(file=sys.stderr)
