"""Work in a thread of its own that stops after each step until it is asked for the next one."""

import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Closed(BaseException):
    """Ends work that nobody waits for any more; no `except Exception` on the way holds it."""


class Lockstep(Generic[T]):
    """Turns `work(hand_over)` inside out: `next` lets it run up to its next call of `hand_over` and gives that value.

    So a library that calls back (Keras after an epoch) can be driven by one that asks (Ray Tune for an epoch).
    """

    def __init__(self, work: Callable[[Callable[[T], None]], None]) -> None:
        self._work = work
        self._values: queue.SimpleQueue[T | BaseException | None] = queue.SimpleQueue()
        self._asked = threading.Semaphore(0)
        self._has_ended = False
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def next(self) -> T | None:
        """The next value that the work hands over, or None when it has ended.

        Raises:
            BaseException: whatever the work raised.
        """
        if self._has_ended:
            return None
        self._asked.release()
        value = self._values.get()
        self._has_ended = value is None or isinstance(value, BaseException)
        if isinstance(value, BaseException):
            raise value
        return value

    def close(self) -> None:
        """End the work where it stands and wait until it has."""
        self._is_closed = self._has_ended = True
        self._asked.release()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._wait()
            self._work(self._hand_over)
            self._values.put(None)
        except Closed:
            pass
        except BaseException as error:
            self._values.put(error)

    def _hand_over(self, value: T) -> None:
        self._raise_if_closed()  # work that unwinds may come here once more
        self._values.put(value)
        self._wait()

    def _wait(self) -> None:
        self._asked.acquire()
        self._raise_if_closed()

    def _raise_if_closed(self) -> None:
        if self._is_closed:
            raise Closed
