"""Which machine works on a run that is kept in an object store: one at a time."""

import json
import os
import socket
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from results.run_files import ObjectFiles
from search_spaces.errors import UserError

HOLDER = "held.json"
HEARTBEAT, FORGOTTEN = 30.0, 120.0
"""Seconds: how often whoever works on a run says so, and after how many without that the run is free."""


class _Holder(NamedTuple):
    """Who says so there."""

    host: str
    process: int
    at: float
    """When that was: seconds since 1970."""
    token: str
    """Of no other; hosts change their names, and containers share them."""

    @property
    def is_gone(self) -> bool:
        """Whether it was of this machine and has ended, or was not heard of for long."""
        is_over = self.host == socket.gethostname() and not Path(f"/proc/{self.process}").exists()
        return is_over or time.time() - self.at >= FORGOTTEN

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}"


class Hold(threading.Thread):
    """Says in the run's store that this process works on it, while the block lasts.

    It does so in a thread of its own, since what a run has to send may take minutes.

    Args:
        files: of the run.

    Raises:
        UserError: another machine works on it.
        OSError: the store is out of reach.
    """

    def __init__(self, files: ObjectFiles) -> None:
        super().__init__(daemon=True)
        self._files = files
        self._over, self._lock = threading.Event(), threading.Lock()
        self._token = uuid.uuid4().hex
        self._said = 0.0
        self.taken_by: str | None = None
        """Who has taken the run over."""

    def __enter__(self) -> "Hold":
        if (holder := self._holder()) is not None and not holder.is_gone:
            left = FORGOTTEN - (time.time() - holder.at)
            raise UserError(
                f"{self._files.uri}: {holder} works on this run; wait for its end, or, if it has died, for {left:.0f} s"
            )
        self._say()
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self.join()
        with suppress(OSError):
            if (holder := self._holder()) is not None and holder.token == self._token:
                self._files.remove(HOLDER)

    def run(self) -> None:
        """Until the block ends."""
        while not self._over.wait(HEARTBEAT):
            with suppress(OSError):  # out of reach: who sends there tells of it
                self.confirm()

    def confirm(self) -> bool:
        """Whether the run is still this process's: nobody has taken it over while it was cut off; asked when it is due.

        Raises:
            OSError: the store is out of reach.
        """
        with self._lock:
            if self.taken_by is None and time.monotonic() - self._said >= HEARTBEAT:
                holder = self._holder()
                if holder is None or holder.token == self._token:
                    self._say()
                else:
                    self.taken_by = str(holder)
            return self.taken_by is None

    def _say(self) -> None:
        with self._files.writing(HOLDER) as file:
            own = _Holder(socket.gethostname(), os.getpid(), time.time(), self._token)
            file.write_text(json.dumps(own._asdict()))
        self._said = time.monotonic()

    def _holder(self) -> _Holder | None:
        with self._files.reading(HOLDER) as file:
            if file is None:
                return None
            try:
                said = json.loads(file.read_text())
                return _Holder(str(said["host"]), int(said["process"]), float(said["at"]), str(said["token"]))
            except (ValueError, KeyError, TypeError):  # nobody of ours wrote that
                return None
