"""A real S3 server on loopback (moto's), behind a door that can be shut: then nothing answers, and nothing is lost."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyarrow import fs

KEYS = {"AWS_ACCESS_KEY_ID": "anybody", "AWS_SECRET_ACCESS_KEY": "anything", "AWS_REGION": "us-east-1"}


class Door(threading.Thread):
    """Passes connections on to a port, unless it is shut."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._to = port
        self._listening: socket.socket | None = None
        self._passing: list[socket.socket] = []
        self.port = 0
        self.open()
        self.start()

    def open(self) -> None:
        """Let everybody in, by the same port as before."""
        listening = socket.create_server(("127.0.0.1", self.port))
        listening.settimeout(0.1)
        self.port = listening.getsockname()[1]
        self._listening = listening

    def shut(self) -> None:
        """Refuse whoever comes, and show out whoever is there."""
        listening, self._listening = self._listening, None
        assert listening is not None
        time.sleep(0.2)  # the thread lets go of it
        listening.close()
        passing, self._passing = self._passing, []
        for one in passing:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def run(self) -> None:
        while True:
            listening = self._listening
            if listening is None:
                time.sleep(0.05)
                continue
            try:
                inside, _ = listening.accept()
            except OSError:  # nobody came, or it was shut
                continue
            outside = socket.create_connection(("127.0.0.1", self._to))
            self._passing += [inside, outside]
            for one, other in ((inside, outside), (outside, inside)):
                threading.Thread(target=_pump, args=(one, other), daemon=True).start()


def _pump(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := one.recv(1 << 16):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)


@contextmanager
def s3_server(log: Path) -> Iterator[Door]:
    """Served for the block; its bucket is called `bucket`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with log.open("w") as out:
        serving = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=os.environ | KEYS)
    try:
        while True:
            assert serving.poll() is None, log.read_text()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        door = Door(port)
        system, _ = fs.FileSystem.from_uri(uri(door, "", "&allow_bucket_creation=true"))
        system.create_dir("bucket")
        yield door
    finally:
        serving.kill()
        serving.wait()


def uri(door: Door, path: str, more: str = "") -> str:
    """Of something in the bucket."""
    return f"s3://bucket{path}?endpoint_override=127.0.0.1:{door.port}&scheme=http{more}"
