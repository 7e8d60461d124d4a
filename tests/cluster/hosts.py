"""Several machines on this one: Ray's nodes in network namespaces, each with an address, a home and processes.

Where namespaces are refused the nodes are separate raylets with loopback addresses.
"""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

PORT = 6400
CLUSTERS = itertools.count(1)
"""Each has a network of its own; the kernel takes its time to clear one away."""
RAY = str(Path(sys.executable).with_name("ray"))


@dataclass
class Host:
    """One machine."""

    name: str
    ip: str
    prefix: list[str]
    environment: dict[str, str]
    received: list[str] = field(default_factory=list)
    """Where the kernel counts the bytes that it received; empty where they are not its alone."""

    def run(self, *command: object, **options: object) -> subprocess.Popen[str]:
        """Start something on it."""
        environment = os.environ | self.environment | dict(options.pop("environment", {}))  # type: ignore[call-overload]
        return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
            [*self.prefix, *map(str, command)], env=environment, text=True, **options
        )

    def ray(self, *arguments: object, more: Mapping[str, str] | None = None, inside: str = "") -> None:
        """Start a node of a cluster on it, and wait until it runs; after `inside`, a line of shell."""
        command = [RAY, "start", f"--node-ip-address={self.ip}", "--disable-usage-stats", *map(str, arguments)]
        if inside:
            command = ["unshare", "--mount", "sh", "-c", f'{inside}; exec "$@"', "sh", *command]
        done = self.run(*command, environment=more or {}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        printed, _ = done.communicate(timeout=120)
        assert done.returncode == 0, printed

    def bytes_received(self) -> int:
        """Over the network, since it was made."""
        return int(subprocess.check_output(self.received, text=True))

    def kill(self) -> None:
        """The power fails."""
        mark = f"THAW_HOST={self.name}\0".encode()
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mark in (process / "environ").read_bytes():
                    os.kill(int(process.name), signal.SIGKILL)


def _may_have_namespaces() -> bool:
    if shutil.which("ip") is None or os.getuid() != 0:
        return False
    done = subprocess.run(["ip", "netns", "add", "thaw-try"], capture_output=True)
    subprocess.run(["ip", "netns", "del", "thaw-try"], capture_output=True)
    return done.returncode == 0


IS_SEPARATE = _may_have_namespaces()


@contextmanager
def hosts(count: int, folder: Path) -> Iterator[list[Host]]:
    """So many machines for the block, with a token that they share; their processes end with it."""
    cluster = next(CLUSTERS)
    ray_files = tempfile.mkdtemp(prefix="th")  # short, because sockets are in it
    made = [_host(cluster, number, folder, ray_files) for number in range(1, count + 1)]
    bridge = f"th{os.getpid()}x{cluster}"
    if IS_SEPARATE:
        _connect(made, bridge)
    try:
        yield made
    finally:
        for host in made:
            host.kill()
        time.sleep(0.5)
        if IS_SEPARATE:
            for host in made:
                subprocess.run(["ip", "netns", "del", host.name], check=False)
            subprocess.run(["ip", "link", "del", bridge], check=False)
        shutil.rmtree(ray_files, ignore_errors=True)


def _host(cluster: int, number: int, folder: Path, ray_files: str) -> Host:
    name = f"thaw-{os.getpid()}-{cluster}-{number}"
    home = folder / f"home{number}"
    home.mkdir()
    environment = {
        "THAW_HOST": name,
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "RAY_TMPDIR": ray_files,  # or `ray start` tells all others on this machine to connect there
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": "a-token-of-the-tests-that-is-long-enough",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    }
    if IS_SEPARATE:
        prefix = ["ip", "netns", "exec", name]
        counted = [*prefix, "cat", "/sys/class/net/eth0/statistics/rx_bytes"]
        return Host(name, f"10.{70 + cluster}.{os.getpid() % 250}.{10 + number}", prefix, environment, counted)
    return Host(name, f"127.0.0.{10 + number}", [], environment)


def _connect(made: list[Host], bridge: str) -> None:
    network = made[0].ip.rpartition(".")[0]
    _ip("link", "add", bridge, "type", "bridge")
    _ip("addr", "add", f"{network}.1/24", "dev", bridge)
    _ip("link", "set", bridge, "up")
    for number, host in enumerate(made):
        end = f"{bridge}v{number}"
        _ip("netns", "add", host.name)
        _ip("link", "add", end, "type", "veth", "peer", "name", "eth0", "netns", host.name)
        _ip("link", "set", end, "master", bridge, "up")
        _ip("-n", host.name, "addr", "add", f"{host.ip}/24", "dev", "eth0")
        _ip("-n", host.name, "link", "set", "eth0", "up")
        _ip("-n", host.name, "link", "set", "lo", "up")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def head(host: Host, cpus: int = 1, more: Mapping[str, str] | None = None) -> str:
    """Begin a cluster on a machine: its address."""
    host.ray("--head", f"--port={PORT}", f"--num-cpus={cpus}", "--include-dashboard=false", more=more)
    return f"{host.ip}:{PORT}"
