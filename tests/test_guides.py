"""What the guides show runs, and what they point to is there. (tests/integration/ runs what takes a search.)"""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import keras_tuner
import numpy as np
import pytest

from search_spaces.configuration import complete
from search_spaces.declaration import declared
from search_spaces.registry import SpaceSpec
from search_spaces.task import Task
from tests.guides import ROOT, blocks

PAGES = ["README.md", "CONTRIBUTING.md", *(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))]


def test_the_space_of_the_guide_is_searched_and_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    space_file, look = blocks("docs/spaces.md")
    (tmp_path / "patches.py").write_text(space_file)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    exec(look, {})
    assert "residual" in capsys.readouterr().out
    task = Task(16, 3, 48, 1)
    space = SpaceSpec("patches:Patches", task, {}, str(tmp_path)).create()
    hyperparameters = declared(space)
    assert [str(one) for one in hyperparameters if one.name == "residual"]
    images = np.random.default_rng(0).integers(0, 256, (48, 16, 16, 3), dtype=np.uint8)
    labels = np.eye(3)[np.arange(48) % 3]
    for given in ({}, {"patch": 4, "depth": 1, "augmentation": "light", "mix": "mixup"}):
        hp = keras_tuner.HyperParameters()
        hp.values = dict(complete(hyperparameters, given))
        model = space.build(hp)
        history = space.fit(hp, model, images, labels, epochs=1, verbose=0)
        assert np.isfinite(history.history["loss"]).all()


def test_the_readmes_build_function_builds() -> None:
    (build,) = [block for block in blocks("README.md") if "def build(hp)" in block]
    namespace: dict[str, object] = {}
    exec(build, namespace)
    model = namespace["build"](keras_tuner.HyperParameters())  # type: ignore[operator]
    assert model.output_shape == (None, 10)


@pytest.mark.parametrize("page", PAGES)
def test_links_between_pages_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    missing = [target for target in targets if not ((ROOT / page).parent / target).exists()]
    assert not missing


def test_the_index_names_every_guide() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    guides = [
        page.name for kind in ("*.md", "*.ipynb") for page in (ROOT / "docs").glob(kind) if page.name != "README.md"
    ]
    assert all(f"({name})" in index for name in guides)


def test_the_reference_has_the_interface_and_each_option_with_its_help(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "docs" / "reference.py"), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "tuner.html").read_text(encoding="utf-8")
    for name in ("run_study", "resume_study", "Study.leaderboard", "Study.export", "StudyConfig.max_epochs"):
        assert f'id="{name}"' in page
    assert "Epochs of a trial that is not stopped early." in page
    assert {"results.html", "search_spaces.html"} <= {file.name for file in tmp_path.iterdir()}
