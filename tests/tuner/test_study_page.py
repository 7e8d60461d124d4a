"""optuna-dashboard beside a search: who may ask it what, and when it ends."""

import io
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import optuna
import pytest

from tuner.journal import create_study
from tuner.study_page import study_page

DRIVER = """
import sys, time
from tuner.study_page import study_page
with study_page(sys.argv[1], sys.stdout):
    time.sleep(600)
"""


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Of a study with one trial, in a folder whose name has a blank."""
    folder = tmp_path / "my runs"
    folder.mkdir()
    study = create_study(folder / "study.journal", "pets")
    study.optimize(lambda trial: trial.suggest_float("learning_rate", 0.1, 1.0), n_trials=1)
    return folder / "study.journal"


def studies(page: str, **headers: str) -> list[str]:
    """Names, as the page's own script asks for them; patiently, for it takes seconds to come about."""
    request = urllib.request.Request(page.replace("/dashboard/", "/api/studies"), headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return [study["study_name"] for study in json.load(answer)["study_summaries"]]


def wait_for_end(page: str) -> None:
    """Until nobody listens there any more."""
    until = time.monotonic() + 60
    with pytest.raises(ConnectionRefusedError):
        while time.monotonic() < until:
            socket.create_connection(("127.0.0.1", urlsplit(page).port or 0)).close()
            time.sleep(0.1)


def test_it_shows_the_study_and_lets_nobody_change_it(journal: Path) -> None:
    terminal = io.StringIO()
    with study_page(str(journal), terminal) as page:
        assert terminal.getvalue() == f"optuna-dashboard: {page}\n"
        assert studies(page) == ["pets"]
        for method in ("POST", "PUT", "DELETE"):
            request = urllib.request.Request(page.replace("/dashboard/", "/api/studies/0"), b"{}", method=method)
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(request)
        with pytest.raises(urllib.error.HTTPError, match="403"):  # a site whose name was made to lead here
            studies(page, Host="example.com")
        assert studies(page, Host="localhost:8080") == ["pets"]  # through ssh -L
    with pytest.raises(urllib.error.URLError, match="refused"):
        studies(page)
    assert "Note" not in terminal.getvalue()


def test_it_opens_a_database_whose_address_is_nobodys_business(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    optuna.create_study(study_name="shared", storage=url)
    with study_page(url, io.StringIO()) as page:
        assert studies(page) == ["shared"]
        commands = [file.read_bytes() for file in Path("/proc").glob("[0-9]*/cmdline") if file.exists()]
        assert any(b"tuner.study_page" in command for command in commands)
        assert not any(url.encode() in command for command in commands)


def test_it_ends_with_a_driver_that_is_killed(journal: Path) -> None:
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, str(journal)], stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    page = driver.stdout.readline().split(": ")[1].strip()
    try:
        assert studies(page) == ["pets"]
    finally:
        driver.send_signal(signal.SIGKILL)
        driver.wait()
        driver.stdout.close()
    wait_for_end(page)


def test_a_page_that_ended_is_told_of(tmp_path: Path) -> None:
    terminal = io.StringIO()
    with study_page("nosuchdatabase://here", terminal) as page:
        wait_for_end(page)
    assert "Note: optuna-dashboard ended before the search; its log says why" in terminal.getvalue()
