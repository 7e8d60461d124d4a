"""How a trial can fail without ending its study."""

WORKER_FAILED = "its worker failed"
NO_NEWS = "no epoch within"
"""What the reason of a failure begins with that says nothing of the configuration."""
OUT_OF_MEMORY = "out of memory"
"""The same, of one for which another machine may be better."""


class TrialFailure(Exception):
    """This trial cannot go on; the message is the reason that the leaderboard and the report show."""


class Infeasible(Exception):
    """Its model is beyond a limit of the study, so it is not trained.

    Args:
        rule: which one, in words; the same for all that it holds for.
        value: the model's, of what is limited.
        measured: what is known of the model.
    """

    def __init__(self, rule: str, value: float, measured: dict[str, float]) -> None:
        super().__init__(rule)
        self.value = value
        self.measured = measured


class OutOfMemory(TrialFailure):
    """It needed more memory than there was; with less beside it, it might do."""


class TooLong(Exception):
    """It would not reach its first rung in the time that it has, so it is not trained any further.

    Args:
        seconds: that it would take to there, by its first training steps.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"{seconds:.1f} s to the first rung")
        self.seconds = seconds
