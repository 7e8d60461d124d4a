"""What search.py prints at the end: the best rows, where things are, and what to type next."""

from results.paths import RunPaths

ROWS = 5


def print_summary(paths: RunPaths) -> None:
    """Print the leaderboard's top rows, the paths and the next commands."""
    pass
