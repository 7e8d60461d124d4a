"""The main job as people do it: a backbone of keras.applications fine-tuned in bfloat16 on a folder of pictures."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from results.formats import FORMATS
from results.paths import RunPaths
from results.records import TrialState, read_study, read_test, read_trials
from tests.integration.test_search import ROOT, run
from tests.integration.test_serve import free_port, post

SEARCH = (
    "--space", "finetune", "--weights", "none", "--data", "pictures", "--precision", "bfloat16", "--max-epochs", 1,
    "--image-size", 32, "--name", "job", "--feature-store", "store", "--no-dashboard",
)  # fmt: skip


def pictures(folder: Path) -> None:
    """Reddish and bluish noise, 20 pictures a class."""
    rng = np.random.default_rng(0)
    for channel, name in ((0, "red"), (2, "blue")):
        (folder / name).mkdir(parents=True)
        for number in range(20):
            pixels = rng.integers(0, 100, (32, 32, 3), dtype=np.uint8)
            pixels[..., channel] += 120
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a search in it, whose finalist was trained on two seeds, and which was then resumed."""
    folder = tmp_path_factory.mktemp("job")
    pictures(folder / "pictures")
    finalists = ("--finalists", 1, "--finalist-seeds", 2)
    run("search.py", *SEARCH, "--backbones", "mobilenet", "--trials", 2, *finalists, cwd=folder)
    run("search.py", "--resume", "--name", "job", "--trials", 3, *finalists, cwd=folder)
    return folder


def test_mobilenet_is_searched_decided_and_resumed(job: Path) -> None:
    paths = RunPaths.existing(job / "runs" / "job")
    trials = read_trials(paths)
    assert [trial.state for trial in trials] == [TrialState.DONE] * 3
    assert all(trial.configuration["backbone"] == "mobilenet" for trial in trials)
    assert "bfloat16" in str(read_study(paths))
    test = read_test(paths)
    assert test is not None
    assert test.evaluation.images == 6
    assert "Test accuracy" in paths.report.read_text()


def test_mobilenet_is_exported_predicts_and_is_served(job: Path) -> None:
    printed = run("export.py", "runs/job", "--out", "out/model.keras", "--formats", "all", cwd=job)
    for one in FORMATS.values():
        assert f"model{one.suffix} " in printed
    run("export.py", "runs/job", "--out", "out/both.keras", "--ensemble", 2, cwd=job)
    for model in ("out/model.keras", "out/both.keras"):
        assert "red" in run("predict.py", model, "pictures/red/0.png", cwd=job)
    port = free_port()
    command = [sys.executable, str(ROOT / "scripts" / "serve.py"), "runs/job", "--port", str(port)]
    with subprocess.Popen(command, cwd=job, stdout=subprocess.PIPE, text=True, env=os.environ) as server:
        assert server.stdout is not None
        assert "http://127.0.0.1" in server.stdout.readline()
        status, answer = post(f"http://127.0.0.1:{port}/classify?top=2", (job / "pictures/red/0.png").read_bytes())
        server.send_signal(2)
    assert status == 200
    assert {one["class"] for one in answer["classes"]} == {"red", "blue"}  # type: ignore[attr-defined]


def test_mobilenet_v3_whose_activations_are_operations(tmp_path: Path) -> None:
    pictures(tmp_path / "pictures")
    run("search.py", *SEARCH, "--backbones", "mobilenet_v3_small", "--trials", 1, "--finalists", 1,
        "--finalist-seeds", 1, cwd=tmp_path)  # fmt: skip
    assert read_test(RunPaths.existing(tmp_path / "runs" / "job")) is not None
    run("export.py", "runs/job", "--out", "model.keras", "--formats", "keras,savedmodel,onnx", cwd=tmp_path)
    assert "blue" in run("predict.py", "model.keras", "pictures/blue/0.png", cwd=tmp_path)
