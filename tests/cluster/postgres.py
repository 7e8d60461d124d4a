"""Debian's PostgreSQL on loopback, with an empty database; it can be stopped and started again."""

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BINARIES = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path("/nowhere"))


class Postgres:
    """One server.

    Args:
        folder: where its data lie.
    """

    def __init__(self, folder: Path) -> None:
        self._data = folder / "data"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self.url = self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """Of one of its databases."""
        return f"postgresql://postgres@127.0.0.1:{self._port}/{database}"

    def make(self) -> None:
        """Its files. It does not run as root, and has to own them."""
        self._data.mkdir()
        if os.getuid() == 0:
            for one in (self._data, *self._data.parents):
                if one.is_relative_to("/tmp") and one != Path("/tmp"):
                    one.chmod(one.stat().st_mode | 0o011)
            shutil.chown(self._data, "postgres", "postgres")
        self._run("initdb", "--auth=trust", "--username=postgres", "--no-sync", "-D", self._data)

    def start(self) -> None:
        """Until it answers."""
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        self._run("pg_ctl", "-w", "-D", self._data, "-o", options, "-l", self._data / "log", "start")

    def stop(self) -> None:
        """At once, whoever is connected."""
        self._run("pg_ctl", "-w", "-D", self._data, "-m", "immediate", "stop")

    def _run(self, program: str, *arguments: object) -> None:
        user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        command = [*user, str(BINARIES / program), *map(str, arguments)]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd="/")
        assert done.returncode == 0, done.stderr


@contextmanager
def postgres(folder: Path) -> Iterator[Postgres]:
    """A server for the block."""
    if not BINARIES.is_dir():
        pytest.skip("PostgreSQL is not here: apt-get install postgresql")
    if os.getuid() == 0 and "postgres" not in {user.pw_name for user in pwd.getpwall()}:
        pytest.skip("there is no user postgres, and PostgreSQL does not run as root")
    server = Postgres(folder)
    server.make()
    server.start()
    try:
        yield server
    finally:
        server.stop()
