"""`finalists.py` on a run whose test split has been opened: done, or to be asked for once more."""

import dataclasses
from pathlib import Path

import pytest

from results.paths import RunPaths
from results.records import read_study, write
from search_spaces.errors import UserError
from tests.results.written_run import a_trial, decide, write_run
from tuner import finalists
from tuner.config import StudyConfig
from tuner.study import run_finalists


@pytest.fixture
def decided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunPaths:
    trials = [a_trial(0, [0.9])]
    paths = write_run(tmp_path / "one", trials)
    decide(paths, trials)
    config = StudyConfig(space="custom_cnn", data="digits", storage=tmp_path, finalists=1)
    write(paths.study, dataclasses.replace(read_study(paths), options=config.options()))
    monkeypatch.setattr(finalists, "are_trained", lambda config: True)
    return paths


def test_a_decided_run_says_that_all_is_done(decided: RunPaths, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_finalists(decided.root).paths == decided
    assert capsys.readouterr().out.startswith(
        "All is done: the finalists are trained, and the test split was opened on 2026-01-03T03:04:05+00:00 for the "
    )


def test_a_winner_that_is_to_be_retrained_now_meets_a_split_that_was_opened(decided: RunPaths) -> None:
    with pytest.raises(UserError, match="the test split was opened on .* add --open-test-again"):
        run_finalists(decided.root, retrain=True)


def test_finalists_that_are_missing_meet_a_split_that_was_opened(
    decided: RunPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finalists, "are_trained", lambda config: False)
    with pytest.raises(UserError, match="the test split was opened on .* add --open-test-again"):
        run_finalists(decided.root)
