"""The one exception for what a user can put right; it lives in the lowest room so that every room can raise it."""

import difflib
import sys
import tempfile
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

LOGGED = "Its traceback is in "
MOST_SAID = 300
"""Characters of an error that are shown."""
TO_TRY = {
    MemoryError: "Use a machine with more memory, a smaller --image-size or fewer images.",
    ImportError: "Install what is missing: pip install -c constraints.txt -e . in Thaw's folder.",
    OSError: "Check that this file or folder can be read and written and that its disk has space, then run the command "
    "again; a search goes on with --resume.",
    Exception: "Try again; a search goes on with --resume. If it ends so again, report it with that file.",
}
"""By the kind of an error that nothing else explains."""


class UserError(Exception):
    """Something that the user gave cannot be used.

    The message names the option or file, the value, the rule that it breaks and the remedy. Scripts and notebooks
    print it without a traceback.
    """

    def _render_traceback_(self) -> list[str]:
        """What IPython shows of it."""
        return [f"{type(self).__name__}: {self}"]


class Unavailable(UserError):
    """Something would have to be downloaded, is not in the cache, and the download failed."""


@contextmanager
def reported() -> Iterator[None]:
    """For scripts: end the program with the message and exit status 2 when a UserError is raised inside.

    After any other error the exit status is 1; a line says what happened, another one where the traceback is and what
    to try. At Ctrl+C the program ends with the status that shells expect then, and no traceback.
    """
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(130)
    except UserError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)
    except Exception as error:
        cause = _causes(error)[-1]
        remedy = next(remedy for kind, remedy in TO_TRY.items() if isinstance(cause, kind))
        log = _log(error) or _written(error)
        print(f"Error: {type(cause).__name__}: {_said(cause)}\n{log} has the traceback. {remedy}", file=sys.stderr)
        sys.exit(1)


def tell_log(error: BaseException, log: str) -> None:
    """Note on an error where its traceback has been written to."""
    error.add_note(f"{LOGGED}{log}")


def _log(error: BaseException) -> str | None:
    notes = [note for one in _causes(error) for note in getattr(one, "__notes__", ())]
    return next((note.removeprefix(LOGGED) for note in notes if note.startswith(LOGGED)), None)


def _causes(error: BaseException) -> list[BaseException]:
    """An error, and by what it was caused, one after the other."""
    return [error, *(_causes(error.__cause__) if error.__cause__ else ())]


def _said(error: BaseException) -> str:
    """What it says, on one line; of a traceback in it, as of another process's error, the last."""
    said = str(error).strip()
    if "Traceback (most recent call last)" in said:
        said = said.splitlines()[-1]
    return " ".join(said.split())[:MOST_SAID]


def _written(error: BaseException) -> str:
    """Write the traceback into a file of its own."""
    text = "".join(traceback.format_exception(error))
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="thaw-error-", suffix=".txt", delete=False, encoding="utf-8"
        ) as file:
            file.write(text)
    except OSError:  # no temporary folder can be written to
        print(text, file=sys.stderr)
        return "What is above"
    return file.name


def like(name: str, names: Iterable[str]) -> str:
    """A guess at what was meant by a name that does not exist, to be put behind it; often empty."""
    found = difflib.get_close_matches(name, list(names), n=1)
    return f" (did you mean {found[0]}?)" if found else ""
