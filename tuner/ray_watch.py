"""Watches over the processes that Ray cannot do without."""

import os
import signal
import threading
from typing import TextIO

from ray._private import ray_constants
from ray._private.node import Node

from search_spaces.errors import UserError
from tuner.interrupt import pressed

VITAL = {ray_constants.PROCESS_TYPE_RAYLET, ray_constants.PROCESS_TYPE_GCS_SERVER}
PATIENCE = 20.0
"""Seconds for the main thread to come to its end without them."""


class RayWatch(threading.Thread):
    """When one of them dies it says so and ends the search as by Ctrl+C; and if that does not help, the process.

    Ray would end the process by itself a minute later, without a word and in the middle of whatever it does. Until then
    it may hold the main thread. After Ctrl+C, or a SIGTERM to all processes, a death is no news.

    Args:
        node: whose processes; of a cluster elsewhere it has none.
        terminal: to say it on.
    """

    def __init__(self, node: Node, terminal: TextIO) -> None:
        super().__init__(daemon=True)
        self._node, self._terminal = node, terminal
        self._leaving, self._over = threading.Event(), threading.Event()
        self.dead = ""
        """Those that died, in words."""
        self.is_told = False

    def run(self) -> None:
        while not self.dead and not self._leaving.wait(1.0):
            self.dead = self.look()
        if not self.dead:
            return
        if not self._leaving.wait(2.0) and not pressed.is_set():
            self.tell()
            pressed.set()
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        if not self._over.wait(PATIENCE):
            status = 2 if self.is_told else 130
            self.tell()
            os._exit(status)

    def look(self) -> str:
        """Those that are dead, in words."""
        return " and ".join(sorted({kind for kind, _ in self._node.dead_processes()} & VITAL))

    def tell(self) -> None:
        """Once."""
        if not self.is_told:
            self.is_told = True
            print(f"Ray's {self.dead} was killed, or died, so the search ends; what was found is kept for --resume",
                  file=self._terminal, flush=True)  # fmt: skip

    def explanation(self) -> UserError | None:
        """What to raise instead, if it was Ray's death that ended the search."""
        self.dead = self.dead or self.look()
        if not self.dead or (pressed.is_set() and not self.is_told):
            return None
        self.tell()
        return UserError(f"the search has ended with Ray's {self.dead}")

    def leave(self) -> None:
        """Ray is about to be shut down: its processes may end from now on."""
        self.dead = self.dead or self.look()
        self._leaving.set()

    def close(self) -> None:
        """It has been."""
        self._over.set()
        self.join()
