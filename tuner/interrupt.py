"""Ctrl+C, pressed by somebody who does not want to wait."""


class StopNow(KeyboardInterrupt):
    """Ctrl+C a second time, while the search was coming to its end."""
