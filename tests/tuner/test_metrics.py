"""The study's own metrics, and the Grafana dashboard that shows them."""

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray.util.metrics import Counter, Metric

from results.records import TrialState
from tests.tuner.test_tensorboard_logs import trial
from tuner.metrics import StudyMetrics

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "deploy" / "grafana" / "thaw.json"


@pytest.fixture
def values(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, ...], float]:
    """What Ray was given last, by name and labels."""
    found: dict[tuple[str, ...], float] = {}

    def key(metric: Metric, tags: dict[str, str]) -> tuple[str, ...]:
        return (metric.info["name"], *sorted(tags.values()))

    monkeypatch.setattr("ray.util.metrics.Gauge.set", lambda self, value, tags: found.update({key(self, tags): value}))
    monkeypatch.setattr(
        "ray.util.metrics.Counter.inc",
        lambda self, value, tags: found.update({key(self, tags): found.get(key(self, tags), 0) + value}),
    )
    return found


@pytest.fixture
def study(values: dict[tuple[str, ...], float]) -> Iterator[StudyMetrics]:
    made = StudyMetrics("pets", gpus=2.0, gpus_per_trial=0.5)
    yield made
    made.close()


def test_they_follow_the_trials(study: StudyMetrics, values: dict[tuple[str, ...], float]) -> None:
    assert values["thaw_trials", "pets", "running"] == 0
    for record in [trial(0, 0), trial(0, 1), trial(1, 0), trial(0, 2), trial(0, 2), trial(1, 1)]:
        study.changed(record)
    assert values["thaw_trials", "pets", "running"] == 2
    assert values["thaw_gpus_in_use", "pets"] == 1.0
    assert values["thaw_gpus", "pets"] == 2.0
    assert values["thaw_epochs", "pets"] == 3
    assert values["thaw_best_val_accuracy", "pets"] == pytest.approx(1 / 3)
    study.changed(trial(0, 3, TrialState.DONE))
    assert values["thaw_trials", "pets", "running"] == 1
    assert values["thaw_trials", "done", "pets"] == 1
    assert values["thaw_gpus_in_use", "pets"] == 0.5
    assert values["thaw_best_val_accuracy", "pets"] == pytest.approx(1 / 2)


def test_trials_of_other_drivers_hold_no_gpu_here(study: StudyMetrics, values: dict[tuple[str, ...], float]) -> None:
    study.changed(trial(0, 1))
    study.changed(dataclasses.replace(trial(1, 1), driver="other"))
    assert values["thaw_trials", "pets", "running"] == 2
    assert values["thaw_gpus_in_use", "pets"] == 0.5


def test_they_tell_who_trained_on_stored_features(study: StudyMetrics, values: dict[tuple[str, ...], float]) -> None:
    for seconds in (4.0, 5.5):
        study.changed(dataclasses.replace(trial(0, int(seconds) - 3), features=seconds))
    study.changed(trial(1, 0))
    study.changed(trial(1, 1))
    assert values["thaw_feature_trials", "pets", "stored"] == 1
    assert values["thaw_feature_trials", "none", "pets"] == 1
    assert values["thaw_feature_seconds", "pets"] == 5.5


def test_a_study_that_goes_on_counts_all_of_its_epochs(
    study: StudyMetrics, values: dict[tuple[str, ...], float]
) -> None:
    for record in [trial(0, 5, TrialState.STOPPED), trial(1, 3, TrialState.INTERRUPTED), trial(1, 3), trial(1, 4)]:
        study.changed(record)
    assert values["thaw_epochs", "pets"] == 9
    assert values["thaw_trials", "interrupted", "pets"] == 0
    assert values["thaw_trials", "pets", "running"] == 1


def exported(study: StudyMetrics) -> set[str]:
    """Names as Prometheus reads them: Ray's exporter puts something in front of all, and after counters."""
    metrics = [value for value in vars(study).values() if isinstance(value, Metric)]
    return {f"ray_{one.info['name']}{'_total' if isinstance(one, Counter) else ''}" for one in metrics}


def test_grafana_asks_for_each_metric_by_its_name(study: StudyMetrics) -> None:
    board = json.loads(DASHBOARD.read_text())
    expressions = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    asked = {name for expression in expressions for name in re.findall(r"\bray_thaw_\w+", expression)}
    assert asked == exported(study)
    studies = next(one for one in board["templating"]["list"] if one["name"] == "study")
    assert set(re.findall(r"\bray_thaw_\w+", studies["query"]["query"])) <= exported(study)
    assert all('study=~"$study"' in expression for expression in expressions if "ray_thaw_" in expression)
