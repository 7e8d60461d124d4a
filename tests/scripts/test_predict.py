"""python scripts/predict.py MODEL IMAGE..., as it is typed."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from results.paths import RunPaths
from results.served import model_of, served
from search_spaces.errors import UserError
from tests.results.test_export import network
from tests.results.written_run import a_trial, keep_model, write_run

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> RunPaths:
    """A run with a model, and three images beside it."""
    folder, trial = tmp_path_factory.mktemp("predict"), a_trial(0, [0.5])
    paths = write_run(folder / "run", [trial], class_names=("cat", "dog", "cow"))
    keep_model(paths, trial)
    (file,) = paths.best.glob("*.keras")
    network(0).save(file)
    for number in range(3):
        Image.new("RGB", (9, 9), (80 * number, 0, 0)).save(folder / f"{number}.png")
    return paths


def predicted(paths: RunPaths, *arguments: object, told: str = "") -> list[list[str]]:
    images = sorted(paths.root.parent.glob("*.png"))
    command = [sys.executable, ROOT / "scripts" / "predict.py", *map(str, arguments), *images]
    done = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)})
    assert (done.returncode, done.stderr) == (0, told)
    return list(csv.reader(done.stdout.splitlines()))


def test_a_run_classifies_images_and_csv_has_a_row_for_each(paths: RunPaths) -> None:
    head, *rows = predicted(paths, paths.root, "--format", "csv")
    assert head == ["image", "rank", "class", "probability"]
    assert [Path(row[0]).name for row in rows] == ["0.png", "1.png", "2.png"]
    assert {row[1] for row in rows} == {"1"}
    assert {row[2] for row in rows} <= {"cat", "dog", "cow"}


def test_further_classes_are_further_rows_and_a_model_without_labels_is_told(paths: RunPaths) -> None:
    (file,) = paths.best.glob("*.keras")
    told = f"Note: {file.with_suffix('.labels.json')} is not there: classes are numbers\n"
    _, *rows = predicted(paths, file, "--format", "csv", "--top", 2, told=told)
    assert [row[1] for row in rows] == ["1", "2"] * 3
    assert {row[2] for row in rows} <= {"0", "1", "2"}


def test_a_run_is_served_and_asked_by_the_same_rule(paths: RunPaths) -> None:
    page = served(str(paths.root), None, 1)
    assert (page.model, page.labels, page.levels) == model_of(str(paths.root)) == (
        next(paths.best.glob("*.keras")), ("cat", "dog", "cow"), None,
    )  # fmt: skip


@pytest.mark.parametrize("script", ["predict.py", "serve.py"])
def test_a_model_that_is_not_there_is_told_before_a_library_is_loaded(script: str, tmp_path: Path) -> None:
    slow = ("tensorflow", "keras", "ray")
    for name in slow:  # who imports one finds these
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name} was imported')")
    command = [sys.executable, ROOT / "scripts" / script, "nowhere.keras"]
    command += ["x.png"] if script == "predict.py" else []
    path = f"{tmp_path}:{ROOT}"
    done = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": path}, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: nowhere.keras: no such model; scripts/export.py writes one as .keras")


def test_what_cannot_be_a_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "cut.keras").write_bytes(b"PK\x03\x04")
    with pytest.raises(UserError, match=r"cut\.keras is not a model that Keras can load: it is no \.keras file"):
        model_of(str(tmp_path / "cut.keras"))
    with pytest.raises(UserError, match="is not a run directory"):
        model_of(str(tmp_path))
    paths, trial = write_run(tmp_path / "run", [a_trial(0, [0.5])]), a_trial(0, [0.5])
    with pytest.raises(UserError, match="has no model yet"):
        model_of(str(paths.root))
    keep_model(paths, trial)
    next(paths.best.glob("*.keras")).unlink()
    with pytest.raises(UserError, match=r"epoch-01\.keras: no such model; it was removed"):
        model_of(str(paths.root))
