"""A table that keeps itself up to date below a notebook's cell, without ipywidgets; what is saved is its last state."""

import io
import sys
import threading
from collections.abc import Callable
from typing import Any

from rich.console import Console, RenderableType

INTERVAL = 1.0
"""Seconds between two states."""
WIDTH = 110
"""In characters."""
PAGE = '<pre style="white-space:pre;overflow-x:auto;line-height:1.3">{code}</pre>'


def is_notebook() -> bool:
    """Whether this process answers the cells of a notebook."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return getattr(shell, "kernel", None) is not None


class LiveOutput:
    """Draws what changes into one output of the cell that runs, as rich's `Live` does on a terminal.

    Args:
        get_renderable: gives what is to be seen.
    """

    def __init__(self, get_renderable: Callable[[], RenderableType]) -> None:
        self._get_renderable = get_renderable
        self._shown: dict[str, str] = {}
        self._output: Any = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._refresh, daemon=True)

    def start(self) -> None:
        """Show it from now on."""
        from IPython.display import display

        self._shown = self._drawn()
        self._output = display(self._shown, raw=True, display_id=True)
        self._thread.start()

    def stop(self) -> None:
        """Leave it as it is now."""
        if self._output is not None:
            self._over.set()
            self._thread.join()
            self._update()

    def _refresh(self) -> None:
        while not self._over.wait(INTERVAL):
            self._update()

    def _update(self) -> None:
        drawn = self._drawn()
        if drawn != self._shown:
            self._shown = drawn
            self._output.update(drawn, raw=True)

    def _drawn(self) -> dict[str, str]:
        """In the two forms that notebooks show."""
        console = Console(
            file=io.StringIO(), record=True, width=WIDTH, force_terminal=True, force_jupyter=False,
            color_system="truecolor", highlight=False, markup=False, emoji=False,
        )  # fmt: skip
        console.print(self._get_renderable())
        text = console.export_text(clear=False)
        return {"text/plain": text, "text/html": console.export_html(code_format=PAGE, inline_styles=True)}
