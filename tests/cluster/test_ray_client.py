"""A search that is started from outside of the cluster."""

import socket
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
import ray

from results.records import TrialState
from tests.cluster.hosts import Host, head, hosts
from tests.cluster.test_nodes import environment
from tests.faults.broken_search import ROOT, BrokenSearch
from tuner.ray_client import connect


def outside(host: Host, folder: Path, *options: object) -> tuple[int, str]:
    """What search.py ends with there, and says; a proxy for other hosts is none of its business."""
    command = [sys.executable, str(ROOT / "scripts" / "search.py"), "--data", "digits", "--image-size", "8", *options]
    running = host.run(*command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       environment={"PYTHONPATH": str(ROOT), "grpc_proxy": "http://127.0.0.1:9"})  # fmt: skip
    printed, _ = running.communicate(timeout=300)
    return running.returncode, " ".join(printed.split())


def test_what_accepts_a_connection_and_says_nothing_is_told_soon(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"ray://127.0.0.1:{silent.getsockname()[1]}"
        here = Host("here", "127.0.0.1", [], {})
        status, printed = outside(here, tmp_path, "--address", address, "--storage", tmp_path)
    assert status == 2
    assert f"Error: --address {address}: what answers there is no server of Ray's client" in printed


TRACEBACK = """Initialization failure from server:
Traceback (most recent call last):
  File "proxier.py", line 765, in Datapath
    if not self.proxy_manager.start_specific_server(
"""


@pytest.mark.parametrize(
    "reason", ["RuntimeError: Starting Ray client server failed. See", "psutil.ZombieProcess: PID"]
)
@pytest.mark.parametrize("failures", [3, 4])
def test_a_server_that_ray_did_not_begin_is_asked_for_again(
    failures: int, reason: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What Ray raises then (2.60) depends on a race that no test can bring about."""
    asked = []

    def init(address: str) -> None:
        asked.append(address)
        if len(asked) <= failures:
            raise ConnectionAbortedError(TRACEBACK + reason)

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(ConnectionError, match=reason) if failures == 4 else nullcontext():
        connect("ray://head")
    assert asked == ["ray://head:10001"] * 4
    note = f"Note: --address ray://head: no server for this client ({reason}); asking again\n"
    assert capsys.readouterr().out == note * 3


def test_a_search_by_ray_client_runs_on_the_head(tmp_path: Path) -> None:
    search = BrokenSearch(tmp_path)
    with hosts(2, tmp_path) as (inside, out):
        # Without that a client's server now and then dies as it is born: docs/clusters.md.
        head(inside, more=environment(tmp_path) | {"EPOCH_SECONDS": "0", "GRPC_ENABLE_FORK_SUPPORT": "0"})
        address = ("--address", f"ray://{inside.ip}")  # at the port that `ray start` opens
        status, printed = outside(out, tmp_path, *address, "--space", "custom_cnn")
        assert status == 2
        assert "Error: --storage runs: the driver of a search at --address ray://" in printed
        began = time.monotonic()
        status, printed = outside(out, tmp_path, "--address", f"ray://{inside.ip}:9", "--storage", tmp_path)
        assert status == 2
        assert "nothing answers there (Connection refused)" in printed
        assert time.monotonic() - began < 15
        options = ("--space", "counted:Counted", "--trials", 3, "--max-epochs", 2, "--finalists", 0, "--name", "one")
        status, printed = outside(out, tmp_path, *address, *options, "--storage", tmp_path / "runs")
        assert status == 0, printed
        assert "1 trial at a time" in printed
        assert "3 of 3 ended" in printed
        again = outside(out, tmp_path, *address, *options, "--storage", tmp_path / "runs")
    assert "exists already; choose another name" in again[1]
    assert again[0] == 2
    assert all(trial.state in (TrialState.DONE, TrialState.STOPPED) for trial in search.trials())
    assert len(search.trials()) == 3
