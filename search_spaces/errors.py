"""The one exception for what a user can put right; it lives in the lowest room so that every room can raise it."""

import difflib
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


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

    At Ctrl+C it ends with the status that shells expect then, and no traceback.
    """
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(130)
    except UserError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)


def like(name: str, names: Iterable[str]) -> str:
    """A guess at what was meant by a name that does not exist, to be put behind it; often empty."""
    found = difflib.get_close_matches(name, list(names), n=1)
    return f" (did you mean {found[0]}?)" if found else ""
