"""A run directory is new, whole, and never another run's."""

from pathlib import Path

import pytest

from results.paths import RunPaths
from search_spaces.errors import UserError
from tuner.run_folder import new_run


def test_a_refused_study_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no"), new_run(RunPaths.of(tmp_path / "a" / "runs", "one")):
        raise UserError("no")
    assert not (tmp_path / "a").exists()


def test_a_refused_study_takes_no_other_run_along(tmp_path: Path) -> None:
    one, other = (RunPaths.of(tmp_path / "runs", name) for name in ("one", "other"))
    with pytest.raises(UserError, match="no"), new_run(one):
        other.root.mkdir(parents=True, exist_ok=True)
        raise UserError("no")
    assert other.root.is_dir()


def test_an_unexpected_end_keeps_the_log(tmp_path: Path) -> None:
    paths = RunPaths.of(tmp_path, "one")
    with pytest.raises(RuntimeError, match=r"the search did not start; .*search.log says why"), new_run(paths):
        paths.log.write_text("what happened")
        raise RuntimeError("the process that prepares the study died")
    assert paths.log.is_file()
