"""A search that is watched while it runs: what a person and their tools see of it."""

import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest
from mlflow import MlflowClient
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from results.paths import RunPaths
from results.records import read_trials
from tests.faults.broken_search import command_of, descendants
from tests.integration.test_search import ROOT, run

OPTIONS = ("--space", "custom_cnn", "--data", "digits", "--image-size", 16, "--max-epochs", 2, "--finalists", 1,
           "--finalist-seeds", 1, "--fix", "filters=16", "--tensorboard", "--concurrency", 1)  # fmt: skip
STORE = "sqlite:///mlflow.db"
LIST = "import sys; from ray.util.state import list_actors; [print(one.name) for one in list_actors(sys.argv[1])]"


class Watched:
    """A search, and what was seen of it from outside."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        command = [sys.executable, str(ROOT / "scripts" / "search.py"), *map(str, OPTIONS)]
        command += ["--trials", "3", "--monitor", "--mlflow", STORE, "--name", "watched"]
        self.metrics: dict[str, float] = {}
        self.titles: set[str] = set()
        self.actors = ""
        with (folder / "printed.txt").open("w") as file:
            # Metrics are sent every three seconds, not ten: a finalist may be done within ten. (Ray forgets a gauge
            # that was not set anew in twice that time, which is to be more than ours take: tuner/metrics.py.)
            often = os.environ | {"RAY_metrics_report_interval_ms": "3000"}
            self._search = subprocess.Popen(command, cwd=folder, env=often, stdout=file, stderr=subprocess.STDOUT)
        until = time.monotonic() + 400
        try:
            while self._search.poll() is None and time.monotonic() < until:
                with suppress(OSError):  # the agent that answers comes after the driver and goes before it
                    self._look()
                time.sleep(0.5)
            assert self._search.poll() == 0, self.printed
        finally:
            self._search.kill()

    @property
    def printed(self) -> str:
        return (self.folder / "printed.txt").read_text()

    def link(self, about: str) -> str:
        found = re.search(rf"{about}: (http://127.0.0.1:\d+\S*)", self.printed)
        return found[1] if found else ""

    def _look(self) -> None:
        self.titles |= {command_of(pid).strip() for pid in descendants(self._search.pid)}
        if url := self.link("Metrics for Prometheus"):
            with urllib.request.urlopen(url, timeout=30) as answer:
                lines = [line for line in answer.read().decode().splitlines() if line.startswith("ray_thaw")]
            for name, labels, value in [re.fullmatch(r"(\w+)\{(.*)\} (\S+)", line).groups() for line in lines]:  # type: ignore[union-attr]
                own = re.findall(r'(?<![a-z_])(?:study|state|features)="([^"]*)"', labels)
                self.metrics[" ".join([name.removeprefix("ray_thaw_"), *sorted(own)])] = float(value)
        if "best so far" in self.printed and not self.actors:
            self.actors = subprocess.run(
                [sys.executable, "-c", LIST, self.link("Ray's dashboard")], text=True, capture_output=True,
                env=os.environ | {"RAY_AUTH_MODE": "token"},
            ).stdout  # fmt: skip


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    return Watched(tmp_path_factory.mktemp("a user's folder"))


def steps(folder: Path) -> list[int]:
    found = EventAccumulator(str(folder))
    found.Reload()
    return [event.step for event in found.Scalars("val_accuracy")]


def mlflow_runs(folder: Path) -> dict[str, list[int]]:
    """Which steps of each run there are."""
    client = MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name("watched")
    assert experiment is not None
    return {
        f"{run.data.tags['thaw.stage']} {run.data.tags['thaw.trial']}": sorted(
            one.step for one in client.get_metric_history(run.info.run_id, "val_accuracy")
        )
        for run in client.search_runs([experiment.experiment_id])
    }


def test_prometheus_reads_the_studys_own_metrics(watched: Watched) -> None:
    trials = read_trials(RunPaths.existing(watched.folder / "runs" / "watched"))
    assert watched.metrics["epochs_total watched"] == sum(len(trial.epochs) for trial in trials)
    assert watched.metrics["best_val_accuracy watched"] == pytest.approx(max(trial.accuracy for trial in trials))
    assert watched.metrics["feature_trials none watched"] == 3
    assert watched.metrics["trials running watched"] == 0
    assert sum(watched.metrics[f"trials {state} watched"] for state in ("done", "stopped")) == 3
    assert watched.metrics["epochs_total watched, finalists"] >= 1


def test_workers_are_called_by_what_they_do(watched: Watched) -> None:
    assert {f"ray::WarmTrial trial-000{number} of runs/watched" for number in range(3)} <= watched.titles
    assert "ray::WarmTrial trial-0000 of watched/finalists" in watched.titles
    assert "runs/watched worker 1" in watched.actors.splitlines()


def test_links_are_printed_and_the_page_ends_with_the_search(watched: Watched) -> None:
    page = watched.link("optuna-dashboard")
    assert page.endswith("/dashboard/")
    with pytest.raises(urllib.error.URLError, match="refused"):
        urllib.request.urlopen(page)
    assert "TensorBoard: tensorboard --logdir runs/watched/tensorboard\n" in watched.printed
    assert f"MLflow: experiment watched at {STORE}\n" in watched.printed
    assert "Note:" not in watched.printed


def test_tensorboard_and_mlflow_have_each_trial_once_and_a_resumed_search_adds_to_them(watched: Watched) -> None:
    paths = RunPaths.existing(watched.folder / "runs" / "watched")
    run("search.py", "--resume", "--name", "watched", "--trials", 4, "--mlflow", STORE, "--no-dashboard",
        cwd=watched.folder)  # fmt: skip
    trials = read_trials(paths)
    assert len(trials) == 4
    expected = {f"search {trial.trial}": [epoch.epoch for epoch in trial.epochs] for trial in trials}
    assert {f"search {number}": steps(paths.tensorboard / f"trial-{number:04}") for number in range(4)} == expected
    assert steps(paths.tensorboard / "finalists" / "trial-0000") == [1, 2]
    assert mlflow_runs(watched.folder) == expected | {"finalists 0": [1, 2]}
