"""Trials that failed, as the searcher remembers them."""

FAILED = -1.0
"""Stands for the accuracy of a trial that failed: below all others."""
LEAST = 5


def are_enough(failures: int, results: int) -> bool:
    """Whether a rung needs no more of them: it keeps `LEAST`, or as many as it has results.

    More would outweigh what is known; TPE takes a tenth of all for good.
    """
    return failures >= max(LEAST, results)
