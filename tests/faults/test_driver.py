"""The driver is killed, interrupted, or started twice."""

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from results.paths import RunPaths
from results.records import TrialState
from tests.faults.broken_search import IS_LONG, OVER, ROOT, BrokenSearch, command_of, descendants, kill, only_long
from tests.faults.broken_search import workers as training

KILLS, TRIALS = (20, 40) if IS_LONG else (2, 8)
EPOCH_SECONDS, LATEST = 2.0, 15.0
"""However fast the machine, no search is over before its last kill: each trial trains for two epochs at least."""
SPACE = ("--space", "counted:Counted", "--scheduler", "asha", "--grace-epochs", 2, "--max-epochs", 6,
         "--concurrency", 2)  # fmt: skip


def test_kill_9_of_the_driver_loses_nothing(tmp_path: Path) -> None:
    search = BrokenSearch(tmp_path, *SPACE, "--trials", TRIALS, epoch_seconds=EPOCH_SECONDS)
    seed = random.randrange(1000)
    rng = random.Random(seed)
    over: dict[int, int] = {}
    for kills in range(KILLS):
        running = search.start()
        time.sleep(rng.uniform(2, LATEST))
        assert running.poll() is None, f"{seed}: it ended after {kills} kills: {running.communicate()[0]}"
        kill(running)
        for trial in search.trials() if search.paths.trials.is_dir() else []:
            if trial.state in OVER:
                over.setdefault(int(trial.configuration["x"]), search.sessions)
    printed = search.finish()
    trials = search.trials()
    assert [trial.trial for trial in trials] == list(range(TRIALS)), printed
    assert {trial.state for trial in trials} <= set(OVER)
    assert len({int(trial.configuration["x"]) for trial in trials}) == TRIALS
    assert set(search.optuna_states()) <= {"COMPLETE", "PRUNED"}
    assert len(search.optuna_states()) == TRIALS
    begun = search.epochs()
    for trial in trials:
        assert [epoch.epoch for epoch in trial.epochs] == list(range(1, len(trial.epochs) + 1))
        x = int(trial.configuration["x"])
        check_at_most_one_repeated(begun[x], f"seed {seed}, trial {trial.trial}")
        assert all(session < over.get(x, 10**6) for session, _ in begun[x]), "trained after its end"
    assert not list(search.paths.root.rglob("checkpoint.npz"))
    assert not list(search.paths.root.rglob(".unfinished*"))


def check_at_most_one_repeated(begun: list[tuple[int, int]], which: str) -> None:
    """Within a session they follow on one another; a later one begins with the last one of before, or the next."""
    for (before, last), (session, epoch) in itertools.pairwise(begun):
        assert epoch == last + 1 or (epoch == last and session > before), f"{which}: {begun}"


def test_an_interrupted_search_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    """One worker, one seed: the same configurations and the same curves."""
    options = ("--space", "custom_cnn", "--max-epochs", 4, "--trials", 5, "--concurrency", 1, "--scheduler", "asha",
               "--fix", "blocks=1", "--fix", "filters=16", "--seed", 3)  # fmt: skip
    curves = []
    for name in ("whole", "broken"):
        (tmp_path / name).mkdir()
        search = BrokenSearch(tmp_path / name, *options)
        for epochs in (2, 7) if name == "broken" else ():
            running = search.start()
            search.wait_for_epochs(running, epochs)
            kill(running)
        search.finish()
        if name == "whole":
            printed = repeated(search, 0)
            assert "Trial 0 of one once more: seed 3, 4 epochs\n" in printed
            assert float(printed.split("The validation losses are at most ")[1].split()[0]) < 0.001
        curves.append([
            (trial.configuration, trial.state, [pytest.approx(epoch.val_loss, rel=1e-3) for epoch in trial.epochs],
             [pytest.approx(epoch.val_accuracy, abs=0.004) for epoch in trial.epochs])
            for trial in search.trials()
        ])  # fmt: skip
    whole, broken = curves
    for one, other in zip(whole, broken, strict=True):
        assert one[:2] == other[:2]
        assert [value.expected for value in one[2]] == other[2]
        assert [value.expected for value in one[3]] == other[3]


def repeated(search: BrokenSearch, trial: int) -> str:
    command = [sys.executable, str(ROOT / "scripts" / "search.py"), "--repeat", f"one:{trial}"]
    return subprocess.check_output(command, cwd=search.folder, text=True)


@pytest.mark.parametrize("sent", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=only_long)])
def test_ctrl_c_ends_cleanly_and_says_how_to_go_on(sent: signal.Signals, tmp_path: Path) -> None:
    search = BrokenSearch(tmp_path, *SPACE, "--trials", 4, "--concurrency", 2, epoch_seconds=1)
    running = search.start()
    search.wait_for_epochs(running, 3)
    running.send_signal(sent)
    printed, _ = running.communicate(timeout=200)
    assert running.returncode == 130
    heard = "Ctrl+C: the trials end where they are; once more ends at once, without a report\n"
    assert (heard in printed) == (sent is signal.SIGINT)
    assert "was killed, or died" not in printed
    hint = "Interrupted; what was found is kept. Go on with: python scripts/search.py --resume --name one"
    assert f"{hint} --space counted:Counted\n" in printed
    assert search.paths.report.is_file()
    assert search.paths.leaderboard.is_file()
    states = [trial.state for trial in search.trials()]
    assert TrialState.INTERRUPTED in states
    assert TrialState.RUNNING not in states
    assert "RUNNING" not in search.optuna_states()
    printed = search.finish("--trials", 6)
    assert " to go on, " in printed
    assert [trial.state in OVER for trial in search.trials()] == [True] * 6
    for x, begun in search.epochs().items():
        check_at_most_one_repeated(begun, str(x))


def test_a_sigterm_to_all_processes_ends_a_search(tmp_path: Path) -> None:
    """As `timeout`, systemd and Slurm send it: Ray is gone before anybody could end it in order."""
    search = BrokenSearch(tmp_path, *SPACE, "--trials", 3, epoch_seconds=1)
    running = search.start()
    search.wait_for_epochs(running, 2)
    os.killpg(running.pid, signal.SIGTERM)
    printed, _ = running.communicate(timeout=100)
    assert running.returncode == 130, printed
    assert "Traceback" not in printed
    assert "--resume" in printed
    search.paths.report.unlink(missing_ok=True)  # it may have been killed before it was written
    printed = search.finish()
    assert f"before it could write its report; it is written now: runs/{search.paths.name}/report.html" in printed
    assert [trial.state in OVER for trial in search.trials()] == [True] * 3


def test_ctrl_c_twice_ends_at_once(tmp_path: Path) -> None:
    search = BrokenSearch(tmp_path, *SPACE, "--trials", 4, epoch_seconds=3)
    running = search.start()
    search.wait_for_epochs(running, 1)
    running.send_signal(signal.SIGINT)
    time.sleep(0.5)
    running.send_signal(signal.SIGINT)
    printed, _ = running.communicate(timeout=30)
    assert running.returncode == 130, printed
    assert "Traceback" not in printed
    assert "--resume --name one" in printed
    assert TrialState.RUNNING not in [trial.state for trial in search.trials()]


def test_a_second_driver_is_refused_while_the_first_one_lives(tmp_path: Path) -> None:
    search = BrokenSearch(tmp_path, *SPACE, "--trials", 2, epoch_seconds=1)
    running = search.start()
    search.wait_for_epochs(running, 1)
    second = search.finish(status=2)
    assert f"Error: {search.paths.root}: another search.py or finalists.py works on this run; wait for its" in second
    assert running.poll() is None
    assert training(running)
    kill(running)
    search.finish()
    assert all(trial.state in OVER for trial in search.trials())


def test_a_run_that_died_before_its_first_trial_begins_anew(tmp_path: Path) -> None:
    search = BrokenSearch(tmp_path, *SPACE, "--trials", 1, epoch_seconds=0)
    running = search.start()
    while not search.paths.log.is_file():
        time.sleep(0.01)
    kill(running)
    assert not search.paths.study.is_file()
    refused = BrokenSearch(tmp_path, "--resume")
    assert "its search had not begun: start it again without --resume" in refused.finish(status=2)
    search.finish()
    assert [trial.state in OVER for trial in search.trials()] == [True]


def test_a_run_that_was_moved_goes_on(tmp_path: Path) -> None:
    search = BrokenSearch(tmp_path, *SPACE, "--trials", 2, epoch_seconds=0.5)
    running = search.start()
    search.wait_for_epochs(running, 1)
    kill(running)
    moved = tmp_path / "elsewhere" / "runs" / "one"
    moved.parent.mkdir(parents=True)
    search.paths.root.rename(moved)
    there = BrokenSearch(tmp_path / "elsewhere", *SPACE, epoch_seconds=0)
    there.paths = RunPaths(moved)
    there.finish("--trials", 3)
    assert [trial.state in OVER for trial in there.trials()] == [True] * 3


def test_a_clock_that_jumps_moves_no_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three days ahead and then two back, in every process, while there are minutes to go."""
    jump, folder = tmp_path / "jump", tmp_path / "python"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(JUMPING)
    jump.write_text("0")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("JUMP", str(jump))
    search = BrokenSearch(tmp_path, *SPACE, "--trials", 4, "--scheduler", "none", "--time-budget", "10m",
                          "--trial-timeout", "5m", epoch_seconds=0.7)  # fmt: skip
    running = search.start()
    search.wait_for_epochs(running, 3)
    jump.write_text(str(3 * 86400))
    search.wait_for_epochs(running, 8)
    jump.write_text(str(-2 * 86400))
    printed, _ = running.communicate(timeout=300)
    assert "Ended early" not in printed
    trials = search.trials()
    assert [trial.state for trial in trials] == [TrialState.DONE] * 4, printed
    assert all(0 <= trial.started < 120 and 0 < trial.seconds < 120 for trial in trials)
    assert all(0 < epoch.seconds < 60 for trial in trials for epoch in trial.epochs)


JUMPING = """
import os, time
real = time.time
time.time = lambda: real() + float(open(os.environ["JUMP"]).read() or 0)
"""


@pytest.mark.parametrize("process", ["raylet", pytest.param("gcs_server", marks=only_long)])
def test_a_search_ends_in_words_when_ray_itself_is_killed(process: str, tmp_path: Path) -> None:
    search = BrokenSearch(tmp_path, *SPACE, "--trials", 3, epoch_seconds=1)
    running = search.start()
    search.wait_for_epochs(running, 2)
    (found,) = [pid for pid in descendants(running.pid) if command_of(pid).split(" ")[0].endswith(f"/{process}")]
    os.kill(found, signal.SIGKILL)
    printed, _ = running.communicate(timeout=300)
    assert running.returncode == 2, printed
    assert f"Ray's {process} was killed, or died, so the search ends; what was found is kept for --resume\n" in printed
    assert "Traceback" not in printed
    search.finish()
    assert [trial.state in OVER for trial in search.trials()] == [True] * 3
    for x, begun in search.epochs().items():
        check_at_most_one_repeated(begun, str(x))
