"""Where Ray keeps the files of a cluster that is started here."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from search_spaces.errors import UserError
from tuner.environment import environment

LONGEST = 107
"""Bytes that a socket's path may have (103 on macOS, where Ray counts them itself)."""
SOCKET = "/ray/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store.1"
"""What Ray's longest path of a socket has behind that folder."""
SHORT = Path("/tmp")
VARIABLES = ("RAY_TMPDIR", "TMPDIR")
"""By which Ray finds it, the first that is set."""


@contextmanager
def short_enough(say: Callable[[str], None]) -> Iterator[None]:
    """For the block, let Ray keep its files in /tmp where the folder that it is told makes its sockets' paths too long.

    Args:
        say: told of it.

    Raises:
        UserError: nobody may write there either.
    """
    variable = next((name for name in VARIABLES if name in os.environ), None)
    folder = os.environ[variable] if variable else str(SHORT)
    if len(os.fsencode(folder + SOCKET)) <= LONGEST:
        yield
        return
    most = LONGEST - len(SOCKET)
    rule = f"{variable} {folder}: is too long for the sockets of Ray, which allow {most} bytes"
    if not os.access(SHORT, os.W_OK):
        raise UserError(f"{rule}: set RAY_TMPDIR to a shorter folder that can be written to")
    say(f"Note: {rule}, so Ray's own files are in {SHORT}/ray")
    with environment({"RAY_TMPDIR": str(SHORT)}):
        yield
