"""The order of the rooms: imports run one way, and what must stay light stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALLOWED = {
    "search_spaces": {"search_spaces"},
    "results": {"results", "search_spaces"},
    "tuner": {"tuner", "results", "search_spaces"},
    "scripts": {"tuner", "results", "search_spaces"},
}


def modules(file: Path) -> set[str]:
    """What a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            module = node.module or ""
            names |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return names


def imported(file: Path) -> set[str]:
    """Top-level names that a file imports."""
    return {name.partition(".")[0] for name in modules(file)}


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_only_rooms_below_it(room: str) -> None:
    files = list((ROOT / room).rglob("*.py"))
    assert files
    for file in files:
        assert imported(file) & set(ALLOWED) <= ALLOWED[room], file


@pytest.mark.parametrize("room", ["search_spaces", "results"])
def test_lower_rooms_know_no_ray_and_spaces_no_optuna(room: str) -> None:
    for file in (ROOT / room).rglob("*.py"):
        assert not imported(file) & ({"ray", "optuna"} if room == "search_spaces" else {"ray"}), file


@pytest.mark.parametrize(
    ("room", "strangers"), [("trial", {"ray", "optuna"}), ("proposal", {"ray", "keras", "tensorflow", "jax"})]
)
def test_the_inner_rooms_of_the_tuner_stand_by_themselves(room: str, strangers: set[str]) -> None:
    files = list((ROOT / "tuner" / room).rglob("*.py"))
    assert files
    for file in files:
        assert not imported(file) & strangers, file
        ours = {name for name in modules(file) if name.startswith("tuner")}
        assert all(name == f"tuner.{room}" or name.startswith(f"tuner.{room}.") for name in ours), file


@pytest.mark.parametrize(
    "module", ["results.report", "results.export", "results.summary", "tuner.config", "tuner.study"]
)
def test_what_answers_at_once_loads_no_engine(module: str) -> None:
    code = f"import sys, {module}; print({{'ray', 'tensorflow', 'keras'}} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).strip() == "set()"


def test_the_python_interface_loads_no_engine_until_it_searches() -> None:
    code = "import sys; from tuner import *; assert run_study; print({'ray', 'tensorflow', 'keras'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).strip() == "set()"
    code = "import sys, tuner; print(any(name.startswith(('tuner.', 'results', 'pandas')) for name in sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).strip() == "False"


def test_the_driver_of_a_search_loads_no_training_library() -> None:
    code = "import sys, tuner.cluster, tuner.search; print({'tensorflow', 'keras', 'keras_tuner'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).strip() == "set()"


@pytest.mark.parametrize("script", sorted(path.name for path in (ROOT / "scripts").glob("*.py")))
def test_scripts_are_short(script: str) -> None:
    assert len((ROOT / "scripts" / script).read_text(encoding="utf-8").splitlines()) <= 80
