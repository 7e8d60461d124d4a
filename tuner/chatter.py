"""What Ray and the training library print goes to a log file, so that the terminal shows the search alone."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO


@contextmanager
def redirected(log: Path) -> Iterator[TextIO]:
    """Send standard output and error of this process, its libraries and its children to `log`.

    Yields a stream that still writes to the real standard output.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    real_output, real_error = os.dup(1), os.dup(2)
    with log.open("ab") as file, os.fdopen(os.dup(real_output), "w", encoding="utf-8") as terminal:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            yield terminal
        finally:
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError):  # the log's disk is full
                    stream.flush()
            os.dup2(real_output, 1)
            os.dup2(real_error, 2)
            os.close(real_output)
            os.close(real_error)
