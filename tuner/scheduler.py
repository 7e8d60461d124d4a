"""Which trials go on: ASHA on validation accuracy, with epochs as the resource, or none."""

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from tuner.config import StudyConfig


class Asha(ASHAScheduler):
    """Ray's ASHA, which stops (Li et al. 2020, arXiv:1810.05934), with failed trials kept out of its rungs.

    Ray's own compares a failed trial's NaN like any number: `nan < cutoff` is false, and the NaN joins the rung.
    """

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        if "failure" in result:
            self.on_trial_remove(tune_controller, trial)
        else:
            super().on_trial_complete(tune_controller, trial, result)


def create_scheduler(config: StudyConfig) -> TrialScheduler:
    """The scheduler that the options ask for."""
    if config.scheduler == "none":
        return FIFOScheduler()
    return Asha(
        time_attr="epoch",
        metric="val_accuracy",
        mode="max",
        max_t=config.max_epochs,
        grace_period=config.grace_epochs,
        reduction_factor=config.reduction_factor,
    )
