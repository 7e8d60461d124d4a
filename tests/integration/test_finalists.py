"""The last act of a real study, and what a second one is told."""

import json
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from results.candidate import candidate
from results.finalists import ranked
from results.paths import RunPaths
from results.records import TrialState, read_study, read_test, read_trials, write
from search_spaces.errors import UserError
from tests.integration.test_search import ROOT, run


@pytest.fixture(scope="module")
def decided(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunPaths, str]:
    """A search of three trials on the digits; two of them are trained again on two seeds each."""
    folder = tmp_path_factory.mktemp("decided")
    quick = {"blocks": 1, "convs_per_block": 1, "dense_layers": 0, "learning_rate": 0.01, "augmentation": "light"}
    (folder / "first.json").write_text(json.dumps([quick | {"filters": filters} for filters in (16, 32, 64)]))
    printed = run("search.py", "--space", "custom_cnn", "--data", "digits", "--image-size", 16, "--trials", 3,
                  "--max-epochs", 2, "--configs", "first.json", "--finalists", 2, "--finalist-seeds", 2,
                  "--name", "pick", cwd=folder)  # fmt: skip
    return RunPaths.existing(folder / "runs" / "pick"), printed


def test_each_finalist_is_trained_to_the_end_on_each_new_seed(decided: tuple[RunPaths, str]) -> None:
    paths, _ = decided
    again = read_trials(paths.finalists)
    assert sorted(record.seed for record in again if record.seed is not None) == [1, 1, 2, 2]
    assert all(record.state is TrialState.DONE and len(record.epochs) == 2 for record in again)
    assert len(ranked(read_trials(paths), again)) == 2


def test_the_test_split_is_opened_once_for_the_winner(decided: tuple[RunPaths, str]) -> None:
    paths, printed = decided
    test, (opening,) = read_test(paths), read_study(paths).test_openings
    assert test is not None
    assert test.opened == opening.opened
    assert test.trial == ranked(read_trials(paths), read_trials(paths.finalists))[0].trial
    assert test.evaluation.images == 270
    assert f"Test accuracy {100 * test.evaluation.accuracy:.2f} %" in printed
    assert (paths.root / test.model).is_file()
    assert test.examples
    assert all((paths.examples / example.file).is_file() for example in test.examples)


def test_the_winner_is_what_is_exported_and_its_card_says_what_the_test_split_said(
    decided: tuple[RunPaths, str], tmp_path: Path
) -> None:
    paths, _ = decided
    printed = run("export.py", paths.root, "--out", "pick.keras", "--formats", "all", cwd=tmp_path)
    assert "pick.labels.json" in printed
    test = read_test(paths)
    assert test is not None
    card = (tmp_path / "pick.md").read_text()
    assert f"**Test accuracy {100 * test.evaluation.accuracy:.2f} %**" in card
    assert "opened once" in card
    printed = run("export.py", paths.root, "--out", "both.keras", "--ensemble", 2, cwd=tmp_path)
    assert "The mean of 2 models" in (tmp_path / "both.md").read_text()


def test_a_second_opening_has_to_be_asked_for_and_is_written_down(
    decided: tuple[RunPaths, str], tmp_path: Path
) -> None:
    """Here for the winner retrained, whose best epoch no image is left to tell."""
    whole, _ = decided
    paths = RunPaths(tmp_path / "pick")
    shutil.copytree(whole.root, paths.root)
    options = ["finalists.py", paths.root, "--finalists", 2, "--finalist-seeds", 2]
    assert "All is done: the finalists are trained, and the test split was opened on" in run(*options, cwd=tmp_path)
    assert len(read_study(paths).test_openings) == 1
    with pytest.raises(AssertionError, match="the test split was opened on"):
        run(*options, "--retrain", cwd=tmp_path)
    printed = run(*options, "--retrain", "--open-test-again", cwd=tmp_path)
    assert "on training and validation images for" in printed
    test, study = read_test(paths), read_study(paths)
    assert test is not None
    assert test.is_retrained
    assert [opening.opened for opening in study.test_openings][-1] == test.opened
    assert len(study.test_openings) == 2
    assert len(read_trials(paths.finalists)) == 4, "what was trained is not trained again"
    (again,) = read_trials(paths.retrained)
    assert candidate(paths).members[0].file == paths.root / test.model
    assert candidate(paths).members[0].epoch == len(again.epochs)
    assert "opened 2 times" in paths.report.read_text()


@pytest.mark.parametrize("typed", ["finalists.py {folder}/pick", "search.py --resume --name pick --storage {folder}"])
def test_an_interrupt_leaves_the_test_split_shut_and_the_rest_to_be_done(
    typed: str, decided: tuple[RunPaths, str], tmp_path: Path
) -> None:
    """Ctrl+C when the first training has ended; the command that is printed then goes on as the search was told to."""
    whole, _ = decided
    paths = RunPaths(tmp_path / "pick")
    shutil.copytree(whole.root, paths.root, ignore=shutil.ignore_patterns("finalists", "test.json", "examples"))
    write(paths.study, replace(read_study(paths), test_openings=()))
    script, *words = typed.format(folder=tmp_path).split()
    command = [sys.executable, str(ROOT / "scripts" / script), *words]
    running = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert running.stdout is not None
    said = []
    for line in running.stdout:
        said.append(line)
        if "1 of 4 ended" in line:
            running.send_signal(signal.SIGINT)
            break
    rest = running.stdout.read()
    assert running.wait(120) == 130, rest
    assert "Interrupted; what was found is kept" in rest, "".join(said) + rest
    assert "leads so far" in rest
    assert not read_study(paths).test_openings
    kept = [run for run in read_trials(paths.finalists) if run.state is TrialState.DONE]
    python, again, *words = shlex.split(rest.partition("Go on with: ")[2].splitlines()[0])
    assert (python, again) == ("python", f"scripts/{script}")
    command = [sys.executable, str(ROOT / "scripts" / script), *words]
    printed = subprocess.check_output(command, cwd=tmp_path, text=True, timeout=400)
    assert f"({4 - len(kept)} trainings left)" in printed
    assert [run for run in read_trials(paths.finalists) if run in kept] == kept, "none of them is trained again"
    assert len(read_study(paths).test_openings) == 1


OWN_LAYER = """
import keras

class Twice(keras.layers.Layer):
    def call(self, x):
        return 2 * x

def build(hp):
    units = hp.Choice("units", [8, 16])
    layers = [keras.Input((32, 32, 3)), keras.layers.Flatten(), Twice(), keras.layers.Dense(units, "relu")]
    model = keras.Sequential([*layers, keras.layers.Dense(10, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
"""


def test_a_model_that_needs_code_is_reported_and_leaves_the_test_split_shut(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN_LAYER)
    printed = run("search.py", "--space", "own:build", "--data", "digits", "--trials", 1, "--max-epochs", 1,
                  "--finalists", 1, "--finalist-seeds", 1, "--name", "own", cwd=tmp_path)  # fmt: skip
    paths = RunPaths(tmp_path / "runs" / "own")
    assert "Note: the test split stays shut: " in printed
    assert "is not a model that Keras can load without other code: " in printed
    assert "Traceback" not in printed
    assert not read_study(paths).test_openings
    assert "Trial 0 leads so far" in paths.report.read_text()


def test_what_was_interrupted_goes_on(decided: tuple[RunPaths, str], tmp_path: Path) -> None:
    """As if the machine had stopped while the last finalist trained: it goes on, and the others are kept."""
    whole, _ = decided
    paths = RunPaths(tmp_path / "pick")
    shutil.copytree(whole.root, paths.root)
    paths.test.unlink()
    write(paths.study, replace(read_study(paths), test_openings=()))
    last = read_trials(paths.finalists)[-1]
    write(paths.finalists.trial_record(last.trial), replace(last, state=TrialState.RUNNING, epochs=()))
    run("finalists.py", paths.root, "--finalists", 2, "--finalist-seeds", 2, cwd=tmp_path)
    states = [record.state for record in read_trials(paths.finalists)]
    assert states.count(TrialState.DONE) == 4
    assert len(states) == 4
    assert read_test(paths) is not None


def test_other_images_than_the_searchs_are_refused(decided: tuple[RunPaths, str], tmp_path: Path) -> None:
    from tuner.study import run_finalists

    whole, _ = decided
    paths = RunPaths(tmp_path / "pick")
    shutil.copytree(whole.root, paths.root)
    study = read_study(paths)
    write(paths.study, replace(study, test_openings=(), data=replace(study.data, fingerprint="another")))
    with pytest.raises(UserError, match="the images there are not those of run pick"):
        run_finalists(paths.root, 2, 2, retrain=False, open_test_again=False)
