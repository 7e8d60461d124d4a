"""What --repeat names, and how two curves are compared; that it trains is tested in tests/faults."""

import dataclasses
from pathlib import Path

import pytest

from results.records import TrialState
from search_spaces.errors import UserError
from tests.results.written_run import a_trial, write_run
from tuner.repetition import compared, named_trial


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("one", r"--repeat one must be RUN:TRIAL, such as"),
        ("one:x", "must be RUN:TRIAL"),
        (":3", "must be RUN:TRIAL"),
        ("one:3", "--repeat one:3: one has no trial 3; its last one is 1"),
        ("two:0", r"two is not a run directory"),
    ],
)
def test_what_names_no_trial_is_refused(tmp_path: Path, text: str, message: str) -> None:
    write_run(tmp_path / "one", [a_trial(0, [0.5]), a_trial(1, [0.6])])
    with pytest.raises(UserError, match=message):
        named_trial(text, tmp_path)


def test_a_run_is_named_or_its_folder(tmp_path: Path) -> None:
    paths = write_run(tmp_path / "one", [a_trial(0, [0.5]), a_trial(1, [0.6])])
    assert named_trial("one:1", tmp_path) == named_trial(f"{paths.root}:1", Path("runs"))
    assert named_trial("one:1", tmp_path)[1].trial == 1


def test_curves_stand_side_by_side() -> None:
    before, now = a_trial(0, [0.5, 0.6]), a_trial(0, [0.5], TrialState.FAILED, reason="diverged")
    now = dataclasses.replace(now, epochs=(dataclasses.replace(now.epochs[0], val_loss=now.epochs[0].val_loss + 0.25),))
    lines = compared(before, now)
    assert lines[1].split()[:3] == ["1", "0.5000", "0.5000"]
    assert lines[-2] == "It failed: diverged"
    assert lines[-1].startswith("The validation losses are at most 0.25 apart: not the same")
    assert compared(before, before)[-1] == "The validation losses are at most 0 apart: the same"
    assert compared(before, dataclasses.replace(before, epochs=before.epochs[:1]))[-1].endswith(
        "the same, as far as both have got (1 epoch)"
    )
