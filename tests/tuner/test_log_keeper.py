"""A search may print for days."""

import os
import subprocess
import sys
from pathlib import Path

from tuner.chatter import redirected
from tuner.log_keeper import LogKeeper


def test_a_log_that_processes_append_to_stays_small(tmp_path: Path) -> None:
    log = tmp_path / "search.log"
    keeper = LogKeeper(log, most_bytes=1000)
    with redirected(log):
        for number in range(50):
            subprocess.run([sys.executable, "-c", f"print('line {number:03}', 'x' * 90)"], check=True)
            os.write(1, f"line {number:03} of this process\n".encode())
            keeper.keep()
    assert log.stat().st_size < 1200
    both = (tmp_path / "search.log.1").read_text() + log.read_text()
    assert len(both) < 2400
    assert both.splitlines()[-2:] == ["line 049 " + "x" * 90, "line 049 of this process"]


def test_no_log_is_no_trouble(tmp_path: Path) -> None:
    LogKeeper(tmp_path / "none.log").keep()
