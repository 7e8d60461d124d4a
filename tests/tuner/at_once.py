"""A ledger whose study can be looked at: whoever does sees what has just happened."""

from collections.abc import Callable

from tuner.ledger import Ledger


class AtOnce(Ledger):
    """Written by the caller, and by no thread."""

    def _put(self, act: Callable[[], object]) -> None:
        act()
