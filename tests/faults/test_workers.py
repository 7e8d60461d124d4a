"""Workers are killed."""

import os
import random
import re
import signal
import time
from pathlib import Path

import pytest

from results.records import TrialState
from tests.faults.broken_search import IS_LONG, OVER, BrokenSearch, only_long, workers

KILLS, TRIALS = (50, 40) if IS_LONG else (3, 5)


def test_kill_9_of_workers_loses_no_trial(tmp_path: Path) -> None:
    search = BrokenSearch(tmp_path, "--space", "counted:Counted", "--trials", TRIALS, "--max-epochs", 6, "--scheduler",
                          "none", epoch_seconds=1)  # fmt: skip
    running = search.start()
    kills, rng = 0, random.Random(0)
    while running.poll() is None and kills < KILLS:
        time.sleep(rng.uniform(0.5, 6))
        if found := workers(running):
            os.kill(rng.choice(found), signal.SIGKILL)
            kills += 1
    printed, _ = running.communicate(timeout=3600)
    assert running.returncode == 0, printed
    trials = search.trials()
    assert [trial.trial for trial in trials] == list(range(TRIALS))
    assert sum(trial.lost for trial in trials) >= kills / 2  # others died between two trials
    for trial in trials:
        assert trial.state in OVER or (trial.state is TrialState.FAILED and trial.lost == 4), printed
        assert [epoch.epoch for epoch in trial.epochs] == list(range(1, len(trial.epochs) + 1))
        assert trial.state is TrialState.FAILED or len(trial.epochs) == 6
        begun = [epoch for _, epoch in search.epochs()[int(trial.configuration["x"])]]
        assert len(begun) - len(set(begun)) <= trial.lost
    assert len(search.optuna_states()) == TRIALS
    assert "RUNNING" not in search.optuna_states()
    assert "in another one" in printed


def test_one_bad_trial_of_ten_costs_one_trial(tmp_path: Path) -> None:
    """NaN, exception, hang, too little memory: each ends that trial with a reason."""
    reasons = {
        "nan": "diverged: loss is nan in epoch 2",
        "exception": "epoch 2 failed: ValueError: no such thing",
        "hang": "no epoch within 40s (--trial-timeout): it hung",
        "memory": "out of memory: cannot allocate 8 EiB",
    }
    moods = ["good"] * 9 + list(reasons)
    (tmp_path / "configs.json").write_text(
        "[" + ", ".join(f'{{"x": {x}, "mood": "{mood}"}}' for x, mood in enumerate(moods)) + "]"
    )
    search = BrokenSearch(tmp_path, "--space", "counted:Counted", "--trials", len(moods), "--max-epochs", 3,
                          "--configs", "configs.json", "--scheduler", "none", "--trial-timeout", "40s")  # fmt: skip
    printed = search.finish()
    found = {str(trial.configuration["mood"]): trial for trial in search.trials()}
    for mood, reason in reasons.items():
        assert found[mood].reason == reason, printed
        assert found[mood].state is TrialState.FAILED
        assert len(found[mood].epochs) == 1
    assert [trial.state for trial in search.trials()].count(TrialState.DONE) == 9
    assert sum(trial.lost for trial in search.trials()) == 1  # the hung one's


@only_long
def test_a_worker_that_ray_ends_for_want_of_memory_is_a_lost_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray's memory monitor sees the machine full when one trial takes three gigabytes in its second epoch."""
    sizes = dict(re.findall(r"(\w+): +(\d+) kB", Path("/proc/meminfo").read_text()))
    used = 1 - int(sizes["MemAvailable"]) / int(sizes["MemTotal"])
    monkeypatch.setenv("RAY_memory_usage_threshold", str(used + 3e6 / int(sizes["MemTotal"])))
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "100")
    (tmp_path / "configs.json").write_text('[{"x": 1, "mood": "greedy"}, {"x": 2, "mood": "good"}]')
    search = BrokenSearch(tmp_path, "--space", "counted:Counted", "--trials", 2, "--max-epochs", 3, "--concurrency", 1,
                          "--configs", "configs.json", "--scheduler", "none", "--max-failures", 1)  # fmt: skip
    printed = search.finish()
    greedy, good = search.trials()
    assert (greedy.state, greedy.lost, len(greedy.epochs)) == (TrialState.FAILED, 2, 1), printed
    assert "low on memory" in (greedy.reason or "")
    assert good.state is TrialState.DONE
