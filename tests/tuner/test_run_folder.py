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


def test_a_storage_whose_name_is_too_long_is_told(tmp_path: Path) -> None:
    paths = RunPaths.of(tmp_path / ("n" * 300), "one")
    message = r"^--storage .*: cannot write there \(File name too long\)"
    with pytest.raises(UserError, match=message), new_run(paths):
        pass


def test_an_empty_folder_of_that_name_is_told(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    message = "--name one: .* exists already and is empty; delete that folder, or choose"
    with pytest.raises(UserError, match=message), new_run(RunPaths.of(tmp_path, "one")):
        pass
    assert (tmp_path / "one").is_dir()


def test_what_is_no_run_says_which_are(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "study.json").write_text("{}")
    (tmp_path / "runs" / "empty").mkdir()
    (tmp_path / "runs" / "begun").mkdir()
    (tmp_path / "runs" / "begun" / "search.log").touch()
    for given, hint in {
        "runs/nosuch": f"runs in {tmp_path}/runs are first, second",
        "runs": f"runs in {tmp_path}/runs are first, second",
        "runs/empty": "it is empty: delete it, and start the search again without --resume",
        "runs/begun": "its search had not begun: start it again without --resume",
        "elsewhere/nosuch": "search.py prints a run's path",
        "n" * 300: "search.py prints a run's path",
    }.items():
        with pytest.raises(UserError, match=f"is not a run directory: it has no study.json .{hint}"):
            RunPaths.existing(tmp_path / given)
