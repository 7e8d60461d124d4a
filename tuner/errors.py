"""How a trial can fail without ending its study."""


class TrialFailure(Exception):
    """This trial cannot go on; the message is the reason that the leaderboard and the report show."""


class OutOfMemory(TrialFailure):
    """It needed more memory than there was; with less beside it, it might do."""
