"""Which trials go on: ASHA on validation accuracy, with epochs as the resource, or none."""

from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from tuner.config import StudyConfig


def create_scheduler(config: StudyConfig) -> TrialScheduler:
    """The scheduler that the options ask for.

    ASHA is Ray's, which stops (Li et al. 2020, arXiv:1810.05934). It never sees a NaN, which it would let pass: a
    diverged trial's result has no epoch, and Ray leaves it out of the rungs.
    """
    if config.scheduler == "none":
        return FIFOScheduler()
    return ASHAScheduler(
        time_attr="epoch",
        metric="val_accuracy",
        mode="max",
        max_t=config.max_epochs,
        grace_period=config.grace_epochs,
        reduction_factor=config.reduction_factor,
    )
