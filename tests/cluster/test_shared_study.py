"""Several drivers on one study, in a real PostgreSQL."""

import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from ray.tune.search import Searcher

from results.records import TrialRecord
from results.records import TrialState as RecordState
from search_spaces.errors import UserError
from search_spaces.hyperparameter import Hyperparameter, Range
from tests.cluster.postgres import Postgres, postgres
from tests.faults.broken_search import OVER, BrokenSearch, kill
from tuner.clock import StudyClock
from tuner.ending import Ending
from tuner.proposal.deadline import Deadline
from tuner.proposal.proposer import Proposer
from tuner.proposal.suggestion import Suggestions
from tuner.retries import Retries
from tuner.searcher import StudySearcher
from tuner.shared_ledger import SharedLedger
from tuner.shared_study import SharedStudy

TRIALS = 10


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


def driver(folder: Path, server: Postgres, database: str, *options: object) -> BrokenSearch:
    """One of several, with a run directory of its own; each trains one trial at a time."""
    folder.mkdir()
    url = server.url_of(database)
    given = ("--space", "counted:Counted", "--trials", TRIALS, "--max-epochs", 4, "--concurrency", 1,
             "--study-storage", url, *options)  # fmt: skip
    return BrokenSearch(folder, *given, epoch_seconds=1.0)


def a_database(server: Postgres, name: str) -> str:
    import psycopg

    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")  # type: ignore[call-overload]
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]
    return name


def known(trials: list[TrialRecord]) -> dict[int, object]:
    """What one can know of trials without caring whose they are."""
    return {one.trial: (one.configuration, one.state, [epoch.val_loss for epoch in one.epochs]) for one in trials}


def finished(running: subprocess.Popen[str], status: int = 0) -> str:
    printed, _ = running.communicate(timeout=400)
    assert running.returncode == status, printed
    return printed


def test_two_drivers_try_nothing_twice_and_both_see_all_though_the_database_is_down_for_a_while(
    server: Postgres, tmp_path: Path
) -> None:
    database = a_database(server, "two")
    both = [driver(tmp_path / name, server, database) for name in "ab"]
    running = [one.start() for one in both]
    for one, process in zip(both, running, strict=True):
        one.wait_for_epochs(process, 4)
    server.stop()
    time.sleep(10)
    server.start()
    for process in running:
        finished(process)
    one, other = (search.trials() for search in both)
    assert known(one) == known(other)
    assert len(one) == TRIALS
    assert all(trial.state in OVER for trial in one)
    assert len({trial.configuration["x"] for trial in one}) == TRIALS, "a configuration was tried twice"
    shares = [sum(not trial.driver for trial in trials) for trials in (one, other)]
    assert sum(shares) == TRIALS
    assert min(shares) >= 2
    trained = [set(search.epochs()) for search in both]
    assert not trained[0] & trained[1]
    study = optuna.load_study(study_name="one", storage=server.url_of(database))
    done = [trial for trial in study.trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    assert len(done) == TRIALS
    assert not [trial for trial in study.trials if trial.state is TrialState.RUNNING]


def test_a_driver_that_died_goes_on_with_its_trials_and_the_other_does_not(server: Postgres, tmp_path: Path) -> None:
    database = a_database(server, "died")
    one, other = (driver(tmp_path / name, server, database, "--trials", 6, "--scheduler", "none") for name in "ab")
    first, second = one.start(), other.start()
    one.wait_for_epochs(first, 2)
    kill(first)
    finished(second)
    left = [trial.trial for trial in other.trials() if trial.state not in OVER]
    assert len(left) == 1, "what the other driver was at"
    url = server.url_of(database)
    assert f"If you trust it, name it again: --study-storage {url}" in one.finish(status=2)
    printed = one.finish("--study-storage", url)
    assert ", 1 to go on" in printed
    assert [len(trial.epochs) for trial in one.trials()] == [4] * 6
    study = optuna.load_study(study_name="one", storage=server.url_of(database))
    assert [trial.state for trial in study.trials if "failure" not in trial.user_attrs] == [TrialState.COMPLETE] * 6


def test_drivers_that_claim_at_the_same_moment_get_different_trials_and_all_there_are_to_be(server: Postgres) -> None:
    url = server.url_of(a_database(server, "claims"))
    suggestions = Suggestions([Hyperparameter("x", Range(0, 100, whole=True), 0)])
    drivers = 3
    began, claimed = threading.Barrier(drivers), list[tuple[int, int]]()

    def claim() -> None:
        ledger = SharedLedger(SharedStudy(url, "one"), suggestions, Ending(StudyClock()), TRIALS, [])
        began.wait(60)
        for x in range(100):  # all of them in the same order
            if ledger.is_full:
                break
            number = ledger.begin(suggestions.trial({"x": x}))
            if number is not None:
                claimed.append((number, x))
                ledger.record(TrialRecord(number, RecordState.STOPPED, {"x": x}, started=0.0))
        ledger.close()

    threads = [threading.Thread(target=claim) for _ in range(drivers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(claimed) == TRIALS
    assert len({number for number, _ in claimed}) == TRIALS
    assert sorted(x for _, x in claimed) == list(range(TRIALS))
    study = optuna.load_study(study_name="one", storage=url)
    assert not [trial for trial in study.trials if trial.state is TrialState.RUNNING]


def test_a_space_that_others_are_about_to_exhaust_ends_a_search(server: Postgres) -> None:
    url = server.url_of(a_database(server, "small"))
    space = [Hyperparameter("x", Range(0, 5, whole=True), 0)]
    suggestions = Suggestions(space)
    one, other = (SharedLedger(SharedStudy(url, "one"), suggestions, Ending(StudyClock()), 20, []) for _ in range(2))
    for x in range(6):
        assert other.begin(suggestions.trial({"x": x})) == x
    proposer, deadline = Proposer(space, (1, 3), seed=0), Deadline(space, 1, None, 2, time.monotonic)
    searcher = StudySearcher(one, suggestions, proposer, deadline, [], 3, lambda: 2, 20, Retries(0))
    assert searcher.suggest("a") == Searcher.FINISHED
    assert "no configuration was found that has not been tried" in str(searcher.ended_early)
    one.close()
    other.close()
    study = optuna.load_study(study_name="one", storage=url)
    assert len(study.trials) <= 12, "each configuration is claimed by the second one once at most"


def test_whoever_waits_for_a_driver_that_gives_up_is_told(server: Postgres) -> None:
    url = server.url_of(a_database(server, "waiting"))
    first, second = SharedStudy(url, "one"), SharedStudy(url, "one")
    threading.Timer(1, first.abandon).start()
    with pytest.raises(UserError, match="has ended before it began; start this one again"):
        second.join({})
    third = SharedStudy(url, "one")
    assert third.is_founder


def test_of_drivers_that_claim_the_finalists_at_the_same_moment_one_trains_them(server: Postgres) -> None:
    url, names = server.url_of(a_database(server, "finalists")), ("a", "b", "c")
    SharedStudy(url, "one")
    studies = {name: SharedStudy(url, "one", name) for name in names}
    began = threading.Barrier(len(names))

    def claim(name: str) -> bool:
        began.wait(60)
        return studies[name].claim_finalists(name)

    with ThreadPoolExecutor(len(names)) as pool:
        claimed = dict(zip(names, pool.map(claim, names), strict=True))
    assert sum(claimed.values()) == 1
    assert {name: studies[name].claim_finalists(name) for name in names} == claimed


def test_a_database_that_stays_away_is_told_in_its_own_words(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuner.shared_ledger.PATIENCE", 1.0)
    monkeypatch.setattr("tuner.shared_ledger.LAST", 1.0)
    url = server.url_of(a_database(server, "away"))
    suggestions, ending = Suggestions([Hyperparameter("x", Range(0, 5, whole=True), 0)]), Ending(StudyClock())
    first, second = SharedStudy(url, "one"), SharedStudy(url, "one")
    ledger = SharedLedger(first, suggestions, ending, TRIALS, [])
    server.stop()
    try:
        assert ledger.begin(suggestions.trial({"x": 1})) is None
        assert ledger.is_full, "it is not asked for another one"
        assert ending.stop_all()
        assert str(ending.unwritable).startswith("--study-storage: ")
        assert "onnection" in str(ending.unwritable)
        assert "invalid data" not in str(ending.unwritable)
        with pytest.raises(UserError, match=f"--study-storage {url}: .*onnection"):
            second.join({})
        with pytest.raises(UserError, match=f"--study-storage {url}: .*onnection"):
            SharedLedger(second, suggestions, ending, TRIALS, [])
    finally:
        server.start()
    ledger.close()


def test_an_interrupted_driver_says_how_to_go_on(server: Postgres, tmp_path: Path) -> None:
    one = driver(tmp_path / "a", server, a_database(server, "interrupted"))
    running = one.start()
    one.wait_for_epochs(running, 1)
    running.send_signal(signal.SIGINT)
    printed = " ".join(finished(running, status=130).split())
    assert f"--resume --name one --space counted:Counted --study-storage {server.url_of('interrupted')}" in printed


def test_a_study_about_something_else_is_refused(server: Postgres, tmp_path: Path) -> None:
    database = a_database(server, "other")
    one = driver(tmp_path / "a", server, database, "--trials", 1)
    one.finish()
    another = driver(tmp_path / "b", server, database, "--max-epochs", 5)
    assert "the study one there has another max_epochs: 4, and here it is 5" in finished(another.start(), status=2)
    assert not (another.folder / "runs").exists()
    before, url = one.trials(), server.url_of(a_database(server, database))  # an empty one of the same name
    said = one.finish("--trials", 2, "--study-storage", url, status=2)
    assert f"--study-storage {url}: it has no study one, of which this run is a part" in said
    assert one.trials() == before


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://postgres:secret@127.0.0.1:9/x", "must have no password, which study.json would tell; put it"),
        ("postgresql://postgres@127.0.0.1:9/x", "--study-storage postgresql://postgres@127.0.0.1:9/x: "),
        ("nosuch://x", "--study-storage nosuch://x: "),
    ],
)
def test_a_database_that_cannot_be_used(url: str, message: str, tmp_path: Path) -> None:
    one = BrokenSearch(tmp_path, "--space", "counted:Counted", "--study-storage", url)
    printed = finished(one.start(), status=2)
    assert message in printed
    assert "secret" not in printed
    assert "Traceback" not in printed
    assert not (tmp_path / "runs").exists()
