"""A study from a user's own program: their arrays, in a thread of theirs, and what the commands make of the run."""

import io
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from results.paths import RunPaths
from search_spaces.errors import UserError
from tests.guides import blocks
from tests.integration.test_search import run
from tuner import Study, StudyConfig, resume_study, run_study

QUICK = {"blocks": 1, "convs_per_block": 1, "dense_layers": 0, "learning_rate": 0.01, "batch_size": 32}
NAMES = ("zero", "one", "two")


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Zeros, ones and twos, as floats of 0..1 and one-hot."""
    bunch = load_digits(n_class=3)
    return bunch.images / 16, np.eye(3)[bunch.target]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A user's working folder; they are in it."""
    found, before = tmp_path_factory.mktemp("python"), Path.cwd()
    os.chdir(found)
    yield found
    os.chdir(before)


@pytest.fixture(scope="module")
def searched(folder: Path) -> SimpleNamespace:
    """Two trials and a finalist on arrays, with test images of their own, while another thread prints."""
    images, labels = digits()
    config = StudyConfig(
        space="custom_cnn", trials=2, max_epochs=3, fix=QUICK, finalists=1, finalist_seeds=1, name="own",
        precision="float32", dashboard=False,
    )  # fmt: skip
    seen, found, before = io.StringIO(), [], dict(os.environ)

    def search() -> None:
        given = images[:400], labels[:400]
        found.append(run_study(config, given, test_data=(images[400:], labels[400:]), class_names=NAMES))

    with redirect_stdout(seen):
        stdout, thread = sys.stdout, threading.Thread(target=search)
        thread.start()
        while thread.is_alive():
            thread.join(3)
            print("the user's program goes on")
        assert sys.stdout is stdout
    (study,) = found
    return SimpleNamespace(study=study, printed=seen.getvalue(), environment=(before, dict(os.environ)))


def test_a_study_answers_from_python(searched: SimpleNamespace) -> None:
    study, best = searched.study, searched.study.best()
    frame = study.leaderboard()
    assert frame["rank"].tolist() == [1, 2]
    assert frame["val_accuracy"].is_monotonic_decreasing
    assert sorted(frame["trial"]) == [trial.trial for trial in study.trials()] == [0, 1]
    assert best.trial == frame["trial"][0]
    assert best.configuration.items() >= QUICK.items()
    assert best.val_accuracy == pytest.approx(frame["val_accuracy"][0], abs=1e-6)
    assert best.mean_val_accuracy > 0.5
    assert repr(study) == f"Study own: 2 trials (2 done); {best.outcome}"
    assert f"trial {best.trial}" in best.outcome
    assert f"{best.test_accuracy:.2%}".replace("%", " % on the test images") in best.outcome


def test_the_model_scores_on_the_users_test_images_what_the_record_says(searched: SimpleNamespace) -> None:
    images, labels = digits()
    best = searched.study.best()
    pixels = np.repeat(np.rint(255 * images[400:])[..., np.newaxis], 3, axis=-1)
    called = best.model().predict(pixels, verbose=0).argmax(axis=1)
    assert (called == labels[400:].argmax(axis=1)).mean() == pytest.approx(best.test_accuracy)
    assert best.predictor().labels == NAMES


def test_report_and_export(searched: SimpleNamespace, tmp_path: Path) -> None:
    study = searched.study
    study.paths.report.unlink()
    report = study.report()
    assert Path(report) == report.path == study.paths.report
    assert "<iframe srcdoc=" in report._repr_html_()
    assert "<table" in study._repr_html_()
    (written,) = study.export(tmp_path / "own.keras")
    assert written.path == tmp_path / "own.keras"
    assert written.compared_on == "60 validation images"
    assert (tmp_path / "own.labels.json").read_text().split() == ["[", '"zero",', '"one",', '"two"', "]"]
    with pytest.raises(UserError, match="--rank 1 --ensemble 2: give one of the two"):
        study.export(tmp_path / "own.keras", rank=1, ensemble=2)


def test_a_program_sees_the_search_and_its_own_output_and_no_chatter(searched: SimpleNamespace) -> None:
    lines = searched.printed.splitlines()
    assert lines.count("the user's program goes on") > 1
    assert any(line.endswith("340 training and 60 validation images of 3 classes, 8x8 pixels") for line in lines)
    assert any("2 of 2 ended" in line for line in lines)
    assert not any("INFO" in line or "absl" in line for line in lines)
    assert "the user's program goes on" not in searched.study.paths.log.read_text()


def test_the_environment_is_as_it_was(searched: SimpleNamespace) -> None:
    """Else a user's own search with Ray Tune would run by our settings. (Ray itself sets some.)"""
    before, after = searched.environment
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert not any(name.startswith(("TUNE_", "TF_", "MALLOC_")) for name in changed), changed


def test_a_run_that_was_moved_goes_on_with_its_own_images(
    searched: SimpleNamespace, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """So do the commands, which know nothing of the arrays."""
    moved = RunPaths(folder / "elsewhere" / "own")
    shutil.copytree(searched.study.paths.root, moved.root)
    hidden = searched.study.paths.images.rename(folder / "hidden.npz")
    try:
        study = resume_study(moved.root, trials=3, time_budget="1h", finalists=0)
        assert len(study.trials()) == 3
        assert not capfd.readouterr().err, "what Ray prints is in the log, in a second study too"
        assert study.record.options["time_budget"] == 3600
        assert "60 validation" in run("export.py", "elsewhere/own", "--out", "own.keras", cwd=folder)
    finally:
        hidden.rename(searched.study.paths.images)


def test_what_may_not_be_another_is_refused(searched: SimpleNamespace) -> None:
    with pytest.raises(UserError, match="--max-epochs 9: the study was begun with 3, which cannot be another here"):
        resume_study(searched.study, max_epochs=9)
    with pytest.raises(UserError, match=r"trial: StudyConfig has no such option \(did you mean trials\?\)"):
        resume_study(searched.study, trial=9)


def test_the_guide_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray((load_digits().images[3] * 15).astype(np.uint8)).save("three.png")
    namespace: dict[str, object] = {}
    for block in blocks("docs/python.md"):
        exec(block, namespace)
    assert "three.png (Guess(label=" in capsys.readouterr().out
    assert (tmp_path / "digits" / "saved_model.pb").is_file()
    assert len(Study.open("runs/digits").trials()) == 3


def test_a_search_is_sent_to_a_clusters_head_by_the_command_alone(tmp_path: Path) -> None:
    config = StudyConfig(data="digits", address="ray://head", storage=str(tmp_path / "runs"))
    with pytest.raises(UserError, match="only scripts/search.py sends a search to a cluster's head"):
        run_study(config)
    assert not list(tmp_path.iterdir())


def test_what_is_refused_leaves_nothing(folder: Path) -> None:
    images, labels = digits()
    with pytest.raises(UserError, match="data: 537 images but 2 labels"):
        run_study(StudyConfig(space="custom_cnn", name="bad"), (images, labels[:2]))
    with pytest.raises(UserError, match=r"data: 2 class names, but labels go up to 2: give 3 names"):
        run_study(StudyConfig(space="custom_cnn", name="bad"), (images, labels), class_names=NAMES[:2])
    with pytest.raises(UserError, match="data: there are no training images"):
        run_study(StudyConfig(space="custom_cnn", name="bad"), test_data=(images, labels))
    with pytest.raises(UserError, match=r"data: images are given, and StudyConfig names others \(digits\)"):
        run_study(StudyConfig(space="custom_cnn", name="bad", data="digits"), (images, labels))
    assert not (folder / "runs" / "bad").exists()
