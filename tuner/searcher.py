"""Optuna as Ray Tune's searcher: asks the study for configurations and tells it what became of them."""

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import optuna.storages.journal
from optuna.trial import TrialState
from ray.tune.search import Searcher

from search_spaces.configuration import Configuration
from search_spaces.hyperparameter import Hyperparameter
from tuner.suggestion import Suggestions


def create_study(journal: Path, name: str, seed: int) -> optuna.Study:
    """A new Optuna study in the run's journal, maximising."""
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(journal)))
    return optuna.create_study(study_name=name, storage=storage, sampler=create_sampler(seed), direction="maximize")


def create_sampler(seed: int) -> optuna.samplers.BaseSampler:
    """What draws a study's configurations: Optuna's TPE, as conditional spaces need it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # `group`, since Optuna 2.8
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True)


class StudySearcher(Searcher):
    """Suggests `trials` configurations, at most `concurrency` at a time so that none is chosen before its slot is free.

    A trial whose result says "again" is suggested once more when all others have ended, so that it is alone.

    A trial that trained to the end, or ended by itself, is COMPLETE with its best validation accuracy, one that the
    scheduler stopped is PRUNED, one that failed is FAIL with the reason as a user attribute; each epoch is an
    intermediate value.
    """

    def __init__(
        self,
        study: optuna.Study,
        space: Sequence[Hyperparameter],
        first: Sequence[Configuration],
        max_epochs: int,
        concurrency: int,
        trials: int,
    ) -> None:
        super().__init__(metric="val_accuracy", mode="max")
        self._study = study
        self._suggestions = Suggestions(space)
        self._max_epochs = max_epochs
        self._concurrency = concurrency
        self._to_suggest = trials
        self._again: list[optuna.Trial] = []
        self._running: dict[str, optuna.Trial] = {}
        self._accuracies: dict[str, dict[int, float]] = {}
        for configuration in first:
            self._suggestions.enqueue(study, configuration)

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        if len(self._running) >= self._concurrency:
            return None
        if self._to_suggest:
            self._to_suggest -= 1
            trial, alone = self._study.ask(), {}
        elif self._running:
            return None
        elif self._again:
            trial, alone = self._again.pop(0), {"alone": True}
        else:
            return Searcher.FINISHED  # type: ignore[return-value]  # as Ray documents it
        self._running[trial_id] = trial
        self._accuracies[trial_id] = {}
        # Optuna gives a trial that is asked again the values that it has.
        return {"trial": trial.number, "configuration": self._suggestions.suggest(trial)} | alone

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        if trial_id not in self._running or "failure" in result:
            return
        epoch: int = result["epoch"]
        if epoch in self._accuracies[trial_id]:
            return
        self._running[trial_id].report(result["val_accuracy"], step=epoch)
        self._accuracies[trial_id][epoch] = result["val_accuracy"]

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        if trial_id not in self._running:
            return
        if result and not error and "failure" not in result:
            self.on_trial_result(trial_id, result)  # a trial's last result comes to this call alone
        trial = self._running.pop(trial_id)
        accuracies = self._accuracies.pop(trial_id)
        if result and result.get("again"):
            trial.set_user_attr("failure", result["failure"])
            self._again.append(trial)
            return
        reason = "its worker failed" if error else (result or {}).get("failure")
        if reason or not accuracies:
            trial.set_user_attr("failure", reason or "ended before its first epoch")
            self._study.tell(trial, state=TrialState.FAIL)
        elif max(accuracies) >= self._max_epochs or (result or {}).get("ended"):
            self._study.tell(trial, max(accuracies.values()))
        else:
            self._study.tell(trial, state=TrialState.PRUNED)

    def close(self) -> None:
        """Tell Optuna of trials that were cut off when the study ended, so that none stays RUNNING."""
        for trial_id in list(self._running):
            self.on_trial_complete(trial_id)
        for trial in self._again:
            self._study.tell(trial, state=TrialState.FAIL)

    def save(self, checkpoint_path: str) -> None:
        numbers = {trial_id: trial.number for trial_id, trial in self._running.items()}
        Path(checkpoint_path).write_text(json.dumps(numbers), encoding="utf-8")
