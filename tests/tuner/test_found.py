"""A study that is read from its run directory."""

from dataclasses import replace
from pathlib import Path

import pytest

from results.records import TrialState, read_test, write
from search_spaces.errors import UserError
from tests.results.written_run import a_trial, decide, write_run
from tuner import Study


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a run directory: it has no study.json"):
        Study.open(tmp_path)


def test_a_study_without_an_epoch_is_shown_and_has_no_best(tmp_path: Path) -> None:
    study = Study(write_run(tmp_path / "one", [a_trial(0, state=TrialState.FAILED, reason="diverged")]))
    assert repr(study) == "Study one: 1 trial (1 failed)"
    assert "diverged" not in study._repr_html_()
    with pytest.raises(UserError, match="has no best configuration: no trial has finished an epoch"):
        study.best()


def test_the_best_is_what_met_the_test_split_and_else_the_highest(tmp_path: Path) -> None:
    trials = [a_trial(0, [0.9]), a_trial(1, [0.8], units=32)]
    study = Study(write_run(tmp_path / "one", trials))
    assert (study.best().trial, study.best().mean_val_accuracy, study.best().test_accuracy) == (0, None, None)
    decide(study.paths, trials[1:])
    best, test = study.best(), read_test(study.paths)
    assert test is not None
    assert (best.trial, best.val_accuracy, best.mean_val_accuracy) == (1, 0.8, 0.8)
    assert best.test_accuracy == test.evaluation.accuracy
    assert "80.00 % on new seeds" in repr(study)
    assert "units=32" in repr(best)


def test_names_are_no_markup(tmp_path: Path) -> None:
    study = Study(write_run(tmp_path / "one", [a_trial(0, [0.9], optimizer="<script>alert(1)</script>")]))
    assert "<script>" not in study._repr_html_()
    write(study.paths.study, replace(study.record, name="<b>"))
    assert "<script>" not in study.report()._repr_html_()
