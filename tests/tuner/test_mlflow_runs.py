"""Trials as MLflow's runs, in a store like those of its servers."""

import dataclasses
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from results.records import TrialRecord, TrialState
from tests.tuner.test_tensorboard_logs import BEGAN, CONFIGURATION, trial
from tuner.mlflow_runs import MlflowRuns

TAGS = {"thaw.study": "pets", "thaw.started": BEGAN.isoformat(), "thaw.stage": "search"}


def send(uri: str, *records: TrialRecord, tags: dict[str, str] = TAGS) -> list[str]:
    """In one session, as a search does: what it said."""
    said: list[str] = []
    runs = MlflowRuns(uri, "pets", tags, BEGAN, said.append)
    for record in records:
        runs.changed(record)
    runs.close()
    return said


def found(uri: str) -> list[Run]:
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("pets")
    assert experiment is not None
    return sorted(client.search_runs([experiment.experiment_id]), key=lambda run: str(run.info.run_name))


def steps(uri: str, run: Run, metric: str = "val_accuracy") -> list[int]:
    return sorted(one.step for one in MlflowClient(tracking_uri=uri).get_metric_history(run.info.run_id, metric))


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/mlflow.db"


def test_a_trial_is_a_run_and_its_configuration_lies_flat(uri: str) -> None:
    assert send(uri, trial(0, 0), trial(0, 2), trial(1, 1), trial(0, 3, TrialState.DONE)) == []
    first, second = found(uri)
    assert first.info.run_name == "trial-0000"
    assert first.data.params == {name: str(value) for name, value in CONFIGURATION.items()}
    assert steps(uri, first) == [1, 2, 3]
    assert first.data.metrics["best_val_accuracy"] == pytest.approx(0.5)
    assert (first.info.status, second.info.status) == ("FINISHED", "RUNNING")
    assert first.data.tags["thaw.state"] == "DONE"
    assert first.info.end_time == int((BEGAN.timestamp() + 14) * 1000)


def test_trials_of_another_driver_are_for_that_one_to_send(uri: str) -> None:
    send(uri, trial(0, 1), dataclasses.replace(trial(1, 1), driver="other"))
    assert [run.info.run_name for run in found(uri)] == ["trial-0000"]


def test_a_search_that_goes_on_goes_on_with_its_runs(uri: str) -> None:
    send(uri, trial(0, 2, TrialState.INTERRUPTED))
    assert found(uri)[0].info.status == "KILLED"
    send(uri, trial(0, 2))
    assert found(uri)[0].info.status == "RUNNING"
    send(uri, trial(0, 3), trial(0, 4, TrialState.DONE), trial(1, 1))
    first, second = found(uri)
    assert steps(uri, first) == [1, 2, 3, 4]
    assert steps(uri, second) == [1]
    assert first.info.status == "FINISHED"


def test_another_study_of_that_name_and_the_finalists_have_runs_of_their_own(uri: str) -> None:
    send(uri, trial(0, 1))
    send(uri, trial(0, 2), tags=TAGS | {"thaw.started": "2027-01-01T00:00:00+00:00"})
    send(uri, dataclasses.replace(trial(0, 3), seed=8), tags=TAGS | {"thaw.stage": "finalists"})
    assert sorted((run.info.run_name, len(steps(uri, run))) for run in found(uri)) == [
        ("trial-0000", 1), ("trial-0000", 2), ("trial-0000 seed 8", 3),
    ]  # fmt: skip


def test_what_mlflow_allows_in_no_name_holds_nothing_up(uri: str) -> None:
    odd = dataclasses.replace(trial(0, 1), configuration={"units[0]": 3, "long": "x" * 9999}, reason="y" * 9999)
    assert send(uri, odd, trial(1, 1)) == []
    assert found(uri)[0].data.params == {"units_0_": "3", "long": "x" * 500}


def test_a_server_that_is_down_is_told_of_once_and_waited_for_briefly() -> None:
    began = time.monotonic()
    said = send("http://127.0.0.1:9", trial(0, 1), trial(1, 1))
    assert time.monotonic() - began < 40
    first, last = said
    assert first.startswith("Note: --mlflow http://127.0.0.1:9: ")
    assert first.endswith("The search goes on, and it is tried again")
    assert last == "Note: --mlflow http://127.0.0.1:9 lacks news of 2 trials; --resume with it again sends them"
