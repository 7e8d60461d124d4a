"""What Ray and the training library print goes to a log file, so that people see the search alone."""

import logging
import os
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO, cast
from weakref import WeakSet

from search_spaces.errors import UserError, tell_log

OUTPUT, ERROR = 1, 2
_in_use = threading.Lock()


@contextmanager
def redirected(log: Path) -> Iterator[TextIO]:
    """Send standard output and error of the block, its libraries and its children to `log`.

    Whatever other threads print that were there before, such as those of a notebook, goes where it went.

    Yields a stream that people see: what `sys.stdout` was, a terminal as well as a notebook's cell.

    Raises:
        UserError: another thread is in such a block.
    """
    if not _in_use.acquire(blocking=False):
        raise UserError("another study runs in this process: wait for its end, or run this one in a process of its own")
    try:
        with ExitStack() as stack:
            file = stack.enter_context(log.open("a", encoding="utf-8", buffering=1, errors="backslashreplace"))
            others = WeakSet(thread for thread in threading.enumerate() if not thread.name.startswith("ray_"))
            others.discard(threading.current_thread())
            terminal, _ = (
                stack.enter_context(_sorted(name, descriptor, file, others))
                for name, descriptor in (("stdout", OUTPUT), ("stderr", ERROR))
            )
            with _logged(log, file):
                yield terminal
    finally:
        _in_use.release()


@contextmanager
def _logged(log: Path, file: TextIO) -> Iterator[None]:
    """Write the traceback of what ends the block into the log, and note on it where that is."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        with suppress(OSError):  # the log's disk is full
            if str(log) != os.devnull:
                traceback.print_exception(error, file=file)
                file.flush()
                tell_log(error, str(log))
        raise


@contextmanager
def _sorted(name: str, descriptor: int, log: TextIO, others: WeakSet[threading.Thread]) -> Iterator[TextIO]:
    """Point a descriptor and its stream in `sys` at the log, but for what the `others` print; yields what it was."""
    stream: TextIO = getattr(sys, name)
    stream.flush()
    is_its = _writes_to(stream, descriptor)  # a notebook's stream, or one that catches output, is no descriptor's
    before = os.dup(descriptor)
    with os.fdopen(os.dup(before), "w", encoding="utf-8") if is_its else _left_open(stream) as seen:
        os.dup2(log.fileno(), descriptor)
        ours = stream if is_its else log
        sorting = _Sorted(name, ours, seen, others)
        setattr(sys, name, cast(TextIO, sorting))
        loggers = [one for one in logging.getLogger("ray").handlers if getattr(one, "stream", None) is stream]
        for logger in cast(list[logging.StreamHandler[Any]], loggers):  # Ray was imported before
            logger.stream = sorting
        try:
            yield seen
        finally:
            setattr(sys, name, stream)
            sorting.end()
            for each in (ours, seen):
                with suppress(OSError):  # the log's disk is full, or nobody reads any more
                    each.flush()
            os.dup2(before, descriptor)
            os.close(before)


class _Sorted:
    """A stream of which the output of some threads goes elsewhere.

    Args:
        name: in `sys`.
        ours: where it goes.
        theirs: where that of these threads goes.
        others: these threads.
    """

    def __init__(self, name: str, ours: TextIO, theirs: TextIO, others: WeakSet[threading.Thread]) -> None:
        self._name, self._others = name, others
        self._ours: TextIO | None = ours
        self._theirs = theirs

    def write(self, text: str) -> int:
        stream = self._stream()
        written = stream.write(text)
        if stream is self._theirs and "\n" in text:
            stream.flush()
        return written

    def end(self) -> None:
        """From now on it is what `sys` has under its name: a logger that was made meanwhile holds this one for ever."""
        self._ours = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream(), name)

    def _stream(self) -> TextIO:
        if self._ours is None:
            return cast(TextIO, getattr(sys, self._name))
        return self._theirs if threading.current_thread() in self._others else self._ours


def _writes_to(stream: TextIO, descriptor: int) -> bool:
    try:
        return stream.fileno() == descriptor
    except (OSError, ValueError, AttributeError):
        return False


@contextmanager
def _left_open(stream: TextIO) -> Iterator[TextIO]:
    yield stream
