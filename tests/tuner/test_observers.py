"""No search ends by who watches it."""

from pathlib import Path

import pytest

from results.records import TrialRecord, TrialState
from tests.tuner.test_tensorboard_logs import BEGAN, trial
from tuner.observers import Observers
from tuner.tensorboard_logs import TensorBoardLogs


class Names:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[int] = []
        self.is_closed = False

    def changed(self, record: TrialRecord) -> None:
        self.told.append(record.trial)

    def close(self) -> None:
        self.is_closed = True


def test_one_that_raises_is_told_of_once_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    observers, names = Observers(said.append), Names()
    (tmp_path / "tensorboard").write_text("a file where the folder should be")
    observers.add("--tensorboard", lambda: TensorBoardLogs(tmp_path / "tensorboard", BEGAN))
    observers.add("names", lambda: names)
    for number in range(3):
        observers.changed(trial(number, 1))
    observers.close()
    (note,) = said
    assert note.startswith("Note: --tensorboard ended by NotADirectoryError: ")
    assert note.endswith("The search goes on without it")
    assert "Traceback" in capsys.readouterr().err  # which goes into the log
    assert names.told == [0, 1, 2]
    assert names.is_closed


def test_one_that_cannot_begin_is_left_out() -> None:
    def fail() -> Names:
        raise RuntimeError("no")

    said: list[str] = []
    observers = Observers(said.append)
    observers.add("it", fail)
    observers.changed(trial(0, 1))
    assert said == ["Note: it ended by RuntimeError: no. The search goes on without it"]


def test_it_is_told_first_of_what_there_is() -> None:
    observers, names = Observers(print), Names()
    observers.add("names", lambda: names, [trial(4, 2, TrialState.DONE)])
    observers.changed(trial(5, 0))
    assert names.told == [4, 5]


def test_nobody_who_reads_the_terminal_is_no_trouble() -> None:
    def broken(text: str) -> None:
        raise BrokenPipeError

    observers = Observers(broken)
    observers.add("it", lambda: Names())
    observers.add("other", lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    observers.changed(trial(0, 1))
