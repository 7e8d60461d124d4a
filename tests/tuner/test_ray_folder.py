"""Ray keeps its files where its sockets' paths are short enough."""

import os
from pathlib import Path

import pytest
from ray._common.utils import get_default_ray_temp_dir

from search_spaces.errors import UserError
from tuner import ray_folder
from tuner.ray_folder import short_enough


@pytest.mark.parametrize("variable", ["TMPDIR", "RAY_TMPDIR"])
def test_a_long_temporary_folder_is_left_aside_and_named(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As batch systems give a job: /scratch/slurm/USER/JOB/..."""
    for name in ray_folder.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    folder, notes = f"/scratch/{'job' * 30}", []
    monkeypatch.setenv(variable, folder)
    with short_enough(notes.append):
        assert get_default_ray_temp_dir() == "/tmp/ray"
    assert get_default_ray_temp_dir() == f"{folder}/ray"
    (note,) = notes
    assert note.startswith(f"Note: {variable} {folder}: is too long for the sockets of Ray, which allow ")
    assert note.endswith("so Ray's own files are in /tmp/ray")


@pytest.mark.parametrize("folder", [None, "/tmp", "/scratch/job"])
def test_a_short_one_is_kept(folder: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ray_folder.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    if folder:
        monkeypatch.setenv("TMPDIR", folder)
    before, notes = dict(os.environ), []
    with short_enough(notes.append):
        assert dict(os.environ) == before
    assert not notes


def test_where_no_short_one_can_be_written_that_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAY_TMPDIR", "x" * 100)
    monkeypatch.setattr(ray_folder, "SHORT", tmp_path / "none")
    with (
        pytest.raises(UserError, match="set RAY_TMPDIR to a shorter folder"),
        short_enough(print),
    ):
        pass
