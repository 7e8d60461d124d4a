"""Ctrl+C, and what is the same: a SIGTERM, by which systems and schedulers end programs."""

import signal
import threading

pressed = threading.Event()
"""Whether it has come since the study began."""


class StopNow(KeyboardInterrupt):
    """A second time, while the search was coming to its end: somebody does not want to wait."""


def terminate_as_interrupt() -> None:
    """Let a SIGTERM be one; where Python accepts no handler, it is what it was."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(*signalled: object) -> None:
    pressed.set()  # at once: what Ray has started may have died of the same signal
    signal.raise_signal(signal.SIGINT)
