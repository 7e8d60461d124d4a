"""The last act of a study; what trains and what opens the test split are doubles."""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tuner.finalists
from results.best import Best
from results.best_models import BestModels
from results.candidate import candidate
from results.paths import RunPaths
from results.records import TrialRecord, TrialState, read_study, read_test, read_trials, write
from results.summary import print_summary
from tests.results.written_run import a_trial, decide, write_run
from tuner.budget import Budget
from tuner.config import StudyConfig
from tuner.finalists import Run
from tuner.trainable import TrialSettings
from tuner.trial.limits import Limits
from tuner.trial.resources import TrialResources

SEARCHED = [a_trial(0, (0.5, 0.834), units=16), a_trial(1, (0.477,), units=32), a_trial(2, (0.336,), units=64)]
CLOSE = [a_trial(0, (0.5, 0.834), units=16), a_trial(1, (0.5, 0.83), units=32)]


def keep(paths: RunPaths, trial: TrialRecord) -> None:
    """As `WarmTrial` keeps the model of a trial's best epoch."""
    paths.best.mkdir(parents=True, exist_ok=True)
    assert trial.best_epoch
    result = {"epoch": float(trial.best_epoch.epoch), "val_accuracy": trial.accuracy}
    BestModels(paths.best).offer(trial.trial, result, lambda path: path.write_text("a model") and None)


class LastAct:
    """A written run; what was trained and opened for it, and what was printed."""

    def __init__(self, folder: Path, trials: Sequence[TrialRecord], monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths = write_run(folder / "runs" / "pets", trials)
        for trial in trials:
            keep(self.paths, trial)
        self.config = StudyConfig(name="pets", storage=str(folder / "runs"), space="custom_cnn", max_epochs=2)
        self.trained: list[Run] = []
        self.opened: list[tuple[int, str]] = []
        monkeypatch.setattr(tuner.finalists, "train", self._train)
        monkeypatch.setattr(tuner.finalists, "observed", _nobody)
        monkeypatch.setattr(tuner.finalists, "open_test", self._open)
        monkeypatch.setattr(tuner.finalists, "_together", lambda data: data)

    def decided(self, seconds: float | None = None, **options: Any) -> list[str]:
        """What was printed."""
        resources = TrialResources(cpus=1, gpus=0, concurrency=1)
        settings = TrialSettings(
            None, 0, 2, "float32", resources, self.paths, Path("store"), 0, 0, Limits()  # type: ignore[arg-type]
        )  # fmt: skip
        printed = io.StringIO()
        data: Any = None
        tuner.finalists.decide(replace(self.config, **options), data, settings, printed, seconds=seconds)
        return printed.getvalue().splitlines()

    def _train(
        self, config: StudyConfig, settings: TrialSettings, runs: Sequence[Run], max_epochs: int, data: object,
        budget: Budget, on_change: Callable[[TrialRecord], None], on_note: Callable[[str], None],
    ) -> dict[int, TrialRecord]:  # fmt: skip
        begun, found = [run for run in runs if budget.allows(run.attempt)], {}
        self.trained += begun
        for run in begun:
            record = a_trial(run.number, (0.6, 0.8 + run.seed / 100), **run.configuration)
            found[run.number] = replace(record, seed=run.seed)
            settings.run.trial(run.number).mkdir(parents=True, exist_ok=True)
            write(settings.run.trial_record(run.number), found[run.number])
            keep(settings.run, found[run.number])
            on_change(found[run.number])
        return found

    def _open(self, config: StudyConfig, resources: TrialResources, trial: int, model: Path) -> None:
        self.opened.append((trial, str(model.relative_to(self.paths.root))))


@contextmanager
def _nobody(*given: object) -> Iterator[Any]:
    class Observers:
        def changed(self, record: TrialRecord) -> None:
            pass

    yield Observers()


def test_trials_that_could_not_win_are_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    act = LastAct(tmp_path, SEARCHED, monkeypatch)
    printed = act.decided()
    assert [(run.configuration["units"], run.seed) for run in act.trained] == [(16, 1), (16, 2), (16, 3)]
    assert printed == [
        "Not among the finalists: trial 1 (47.70 %), trial 2 (33.60 %), further below the best trial (83.40 %) than "
        "300 validation images and other seeds explain",
        "Finalists: trial 0 trained again on 3 new seeds (3 trainings left), about 7s",
    ]
    assert act.opened == [(0, "finalists/best/trial-0002-epoch-02.keras")]


def test_each_finalist_is_trained_on_one_seed_before_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    act = LastAct(tmp_path, CLOSE, monkeypatch)
    act.decided(finalist_seeds=2)
    assert [(run.configuration["units"], run.seed) for run in act.trained] == [(16, 1), (32, 1), (16, 2), (32, 2)]


def test_a_short_budget_leaves_fewer_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training takes two epochs of a second."""
    act = LastAct(tmp_path, CLOSE, monkeypatch)
    first, second = act.decided(5.0)
    assert first == "Fewer trainings of finalists: 2 finalists on 3 seeds would take about 13s, and there are 5s"
    assert second.startswith(
        "Finalists: trials 0 and 1 trained again on 1 new seed (2 trainings left), about 4s of the 5s"
    )
    assert len(act.trained) == 2


def test_without_time_for_one_training_the_searchs_own_model_meets_the_test_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    act = LastAct(tmp_path, CLOSE, monkeypatch)
    assert act.decided(1.0) == [
        "No finalist: one training of trial 0 would take about 2s, and there are 1s",
        "No finalist was trained to its end: trial 0 is handed over as the search trained it",
    ]
    assert act.trained == []
    assert act.opened == [(0, "handed_over/best/trial-0000-epoch-02.keras")], "where no later trial displaces it"


def test_a_budget_leaves_time_for_the_retraining_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    act = LastAct(tmp_path, CLOSE[:1], monkeypatch)
    printed = act.decided(6.0, retrain=True)
    assert printed[0] == "Fewer trainings of finalists: 1 finalist on 3 seeds would take about 7s, and there are 4s"
    assert [(run.seed, run.until) for run in act.trained] == [(1, None), (1, 2)]
    assert act.opened == [(0, "retrained/best/trial-0000-epoch-02.keras")]


def test_what_is_trained_already_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    act = LastAct(tmp_path, CLOSE, monkeypatch)
    act.decided(finalist_seeds=1)
    act.trained.clear()
    printed = act.decided(3.0, finalist_seeds=1)
    assert (printed, act.trained) == ([], [])
    assert len(act.opened) == 2, "the double does not write down that it was opened"


def test_a_handed_over_model_of_the_search_says_that_no_finalist_was_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = write_run(tmp_path / "run", CLOSE)
    keep(paths, CLOSE[0])
    decide(paths, CLOSE[:1])
    for trial in read_trials(paths.finalists):
        write(paths.finalists.trial_record(trial.trial), replace(trial, state=TrialState.INTERRUPTED))
    test = read_test(paths)
    assert test is not None
    write(paths.test, replace(test, model="best/trial-0000-epoch-02.keras"))
    member = candidate(paths).members[0]
    assert (member.file.name, member.seed, member.val_accuracy) == ("trial-0000-epoch-02.keras", None, 0.834)
    best = Best.read(paths)
    assert (best.trial, best.mean_val_accuracy, best.test_accuracy) == (0, None, test.evaluation.accuracy)
    print_summary(paths)
    printed = capsys.readouterr().out
    assert "No finalist was trained to its end: trial 0 is handed over as the search trained it" in printed
    assert f"Test accuracy {100 * test.evaluation.accuracy:.2f} %" in printed
    assert len(read_study(paths).test_openings) == 1
