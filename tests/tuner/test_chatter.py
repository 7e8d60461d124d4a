"""Output goes to the log but for what others print; afterwards all is as it was."""

import io
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from search_spaces.errors import UserError
from tests.guides import ROOT
from tuner.chatter import redirected


def another_thread() -> Callable[[], None]:
    """One that is there from now on; what is given back lets it print a line, and waits for that."""
    now = threading.Event()

    def talk() -> None:
        now.wait()
        print("the user's line")

    thread = threading.Thread(target=talk)
    thread.start()

    def speak() -> None:
        now.set()
        thread.join()

    return speak


def test_a_stream_that_is_no_descriptors_is_what_people_see(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a notebook."""
    cell = io.StringIO()
    monkeypatch.setattr(sys, "stdout", cell)
    speak = another_thread()
    with redirected(tmp_path / "log") as terminal:
        print("the search", file=terminal)
        speak()
        print("a library's line")
        os.system("echo a child\\'s line")
        started = threading.Thread(target=print, args=("a library's thread's line",))
        started.start()
        started.join()
    assert sys.stdout is cell
    assert cell.getvalue() == "the search\nthe user's line\n"
    assert sorted((tmp_path / "log").read_text().splitlines()) == [
        "a child's line", "a library's line", "a library's thread's line",
    ]  # fmt: skip


SCRIPT = """
import sys, threading
from pathlib import Path
from tests.tuner.test_chatter import another_thread
from tuner.chatter import redirected

for number in (1, 2):
    speak = another_thread()
    with redirected(Path("log")) as terminal:
        print(f"search {number}", file=terminal, flush=True)
        speak()
        print("a library's line")
        print("its error", file=sys.stderr)
print("over")
"""


def test_a_script_sees_the_search_and_its_own_lines(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.stdout.splitlines() == ["search 1", "the user's line", "search 2", "the user's line", "over"]
    assert done.stderr == ""
    assert sorted((tmp_path / "log").read_text().splitlines()) == ["a library's line"] * 2 + ["its error"] * 2


def test_a_logger_that_was_made_meanwhile_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Into the next log, and between two of them to the user."""
    cell, logger = io.StringIO(), logging.Logger("ray of a test")
    monkeypatch.setattr(sys, "stderr", cell)
    with redirected(tmp_path / "first"):
        logger.addHandler(logging.StreamHandler())
        logger.warning("one")
    logger.warning("two")
    with redirected(tmp_path / "second"):
        logger.warning("three")
    assert (tmp_path / "first").read_text() == "one\n"
    assert cell.getvalue() == "two\n"
    assert (tmp_path / "second").read_text() == "three\n"


def test_rays_logger_is_silent_though_ray_was_imported_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = io.StringIO()
    monkeypatch.setattr(sys, "stderr", cell)
    handler = logging.StreamHandler()
    monkeypatch.setattr(logging.getLogger("ray"), "handlers", [handler])
    with redirected(tmp_path / "log"):
        logging.getLogger("ray").error("chatter")
    logging.getLogger("ray").error("the user's")
    assert (tmp_path / "log").read_text() == "chatter\n"
    assert cell.getvalue() == "the user's\n"


def test_two_studies_in_one_process_are_refused(tmp_path: Path) -> None:
    with (
        redirected(tmp_path / "one"),
        pytest.raises(UserError, match="another study runs in this process"),
        redirected(tmp_path / "two"),
    ):
        pass
    with redirected(tmp_path / "two"):
        pass
