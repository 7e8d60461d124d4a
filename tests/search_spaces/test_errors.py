"""How scripts end: with one line for what a user can put right, and without a traceback for anything else."""

import os
import tempfile
from pathlib import Path

import pytest

from search_spaces.errors import UserError, reported
from tuner.chatter import redirected


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_what_a_user_can_put_right_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended, reported():
        raise UserError("--trials 0: must be at least 1")
    assert (ended.value.code, capsys.readouterr().err) == (2, "Error: --trials 0: must be at least 1\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("error", "said", "remedy"),
    [
        (KeyError("x"), "KeyError: 'x'", "report it with that file"),
        (
            FileNotFoundError(2, "No such file or directory", "/gone"),
            "FileNotFoundError: [Errno 2] No such",
            "its disk",
        ),
        (MemoryError("39 GB"), "MemoryError: 39 GB", "a smaller --image-size"),
        (ModuleNotFoundError("No module named 'onnx'"), "ModuleNotFoundError: No module named 'onnx'", "pip install"),
        (
            RuntimeError("Traceback (most recent call last):\n  File ...\nTypeError: no dtype"),
            "RuntimeError: TypeError: no dtype",
            "--resume",
        ),
    ],
)
def test_any_other_error_ends_with_a_line_a_file_and_what_to_try(
    error: Exception, said: str, remedy: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as ended, reported():
        raise error
    assert ended.value.code == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"Error: {said}")
    (file,) = tmp_path.iterdir()
    assert second.startswith(f"{file} has the traceback. ")
    assert remedy in second
    assert "Traceback (most recent call last)" in file.read_text()
    assert type(error).__name__ in file.read_text()


def test_the_cause_is_told_and_not_what_was_raised_from_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), reported():
        try:
            raise OSError("AF_UNIX path length cannot exceed 107 bytes")
        except OSError as error:
            raise RuntimeError("the search did not start") from error
    assert capsys.readouterr().err.startswith("Error: OSError: AF_UNIX path length cannot exceed 107 bytes\n")


def test_a_search_has_its_traceback_in_its_log(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    log = tmp_path / "search.log"
    with pytest.raises(SystemExit), reported(), redirected(log):
        raise ValueError("what happened")
    assert capsys.readouterr().err.splitlines()[1].startswith(f"{log} has the traceback. ")
    assert "ValueError: what happened" in log.read_text()
    assert list(tmp_path.iterdir()) == [log]


def test_output_that_is_thrown_away_does_not_take_the_traceback_along(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit), reported(), redirected(Path(os.devnull)):
        raise ValueError("what happened")
    (file,) = tmp_path.iterdir()
    assert f"{file} has the traceback" in capsys.readouterr().err


def test_without_a_place_for_it_the_traceback_is_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    with pytest.raises(SystemExit), reported():
        raise ValueError("what happened")
    error = capsys.readouterr().err
    assert error.startswith("Traceback (most recent call last)")
    assert "What is above has the traceback" in error
