"""Which trials go on: ASHA on validation accuracy, with epochs as the resource, or none."""

import math
from types import SimpleNamespace
from typing import Any

from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from tuner.config import StudyConfig


class NumberedASHA(ASHAScheduler):
    """Ray's ASHA, which knows each trial by its number in the study.

    Ray gives a trial that goes on in another worker another identity, and ASHA would count it twice on a rung.
    """

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        super().on_trial_add(tune_controller, _numbered(trial))

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        # What a trial that goes on says of before is known already, unless it was lost with the driver.
        decisions = [
            super(NumberedASHA, self).on_trial_result(tune_controller, _numbered(trial), one)
            for one in (*result.get("before", ()), result)
        ]
        return self.STOP if self.STOP in decisions else decisions[-1]

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        super().on_trial_complete(tune_controller, _numbered(trial), result)

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        super().on_trial_remove(tune_controller, _numbered(trial))


def _numbered(trial: Any) -> Any:
    return SimpleNamespace(trial_id=trial.config["trial"])


def create_scheduler(config: StudyConfig) -> TrialScheduler:
    """The scheduler that the options ask for.

    ASHA is Ray's, which stops (Li et al. 2020, arXiv:1810.05934). It never sees a NaN, which it would let pass: a
    diverged trial's result has no epoch, and Ray leaves it out of the rungs.
    """
    if config.scheduler == "none":
        return FIFOScheduler()
    return NumberedASHA(
        time_attr="epoch",
        metric="val_accuracy",
        mode="max",
        max_t=config.max_epochs,
        grace_period=config.grace_epochs,
        reduction_factor=config.reduction_factor,
    )


def expected_epochs(config: StudyConfig) -> float:
    """Return the epochs that a trial is trained for on average, if one in so many goes on from each rung."""
    found = rungs(config)
    stretches = zip(found, (0, *found), strict=False)
    return sum((end - begin) / config.reduction_factor**number for number, (end, begin) in enumerate(stretches))


def rungs(config: StudyConfig) -> tuple[int, ...]:
    """The epochs at which trials are compared: ASHA's, as Ray places them, and the last one."""
    if config.scheduler == "none":
        return (config.max_epochs,)
    grace, factor, last = config.grace_epochs, config.reduction_factor, config.max_epochs
    count = int(math.log(last / grace) / math.log(factor) + 1)
    return tuple(sorted({*(math.ceil(grace * factor**number) for number in range(count)), last}))
