"""Whether a Ray cluster answers at an address; `ray.init` would wait for two minutes, and then end the process."""

import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

from search_spaces.errors import UserError

PATIENCE = 10.0
"""Seconds for a cluster to answer, the import of Ray in them."""
FORM = re.compile(r"auto|[^\s:/]+:\d+|\[[\da-fA-F:.]+\]:\d+")
SCHEME, CLIENT_PORT = "ray://", 10001
"""Of Ray's client."""


def has_token() -> bool:
    """Whether this user has a token for Ray clusters, where Ray looks for it."""
    is_given = "RAY_AUTH_TOKEN" in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ
    return is_given or (Path.home() / ".ray" / "auth_token").is_file()


def no_address(address: str) -> UserError:
    """That it is none."""
    return UserError(f"--address {address or '(empty)'}: must be auto, HOST:PORT or ray://HOST")


def check_address(address: str) -> None:
    """See that a cluster of the same Ray and Python answers there, and accepts this user.

    Raises:
        UserError: it does not, or that is no address.
    """
    if address.startswith(SCHEME):
        raise UserError(
            f"--address {address}: only scripts/search.py sends a search to a cluster's head, or its --resume; on a "
            "machine of the cluster this works with --address auto"
        )
    if not FORM.fullmatch(address):
        raise no_address(address)
    asked = _asked(address)
    if asked.returncode and _is_about_token(asked.stderr) and has_token() and "RAY_AUTH_MODE" not in os.environ:
        # `ray start` asks for a token where it finds one, and who connects shows it only if told to. Not to any
        # cluster: one that asks for none loses the workers of a driver that asks them for one.
        os.environ["RAY_AUTH_MODE"] = "token"
        asked = _asked(address)
    if asked.returncode:
        raise _unanswered(address, asked.stderr)
    theirs = json.loads(asked.stdout)
    ours = {"ray": importlib.metadata.version("ray"), "python": platform.python_version()}
    if different := [name for name in ours if ours[name] != theirs[name]]:
        said = " and ".join(f"{name} {theirs[name]} there, {ours[name]} here" for name in different)
        raise UserError(
            f"--address {address}: that cluster has other versions: {said}. Install the same ones here, or start the "
            "search from one of its machines"
        )


def _asked(address: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-P", "-c", "from tuner.address import ask; ask()", address]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired as error:
        seen = error.stderr.decode() if isinstance(error.stderr, bytes) else error.stderr or ""
        raise _unanswered(address, seen) from None


def _is_about_token(seen: str) -> bool:
    return "InvalidAuthToken" in seen or "AuthenticationError" in seen or "no authentication token" in seen.lower()


def _unanswered(address: str, seen: str) -> UserError:
    if _is_about_token(seen):
        return UserError(
            f"--address {address}: that cluster asks for a token, and yours is none or another one: set RAY_AUTH_TOKEN "
            "to what `ray get-auth-token` prints on its head (and RAY_AUTH_MODE, if it is set, to token)"
        )
    if address == "auto" and "Could not find any running Ray instance" in seen:
        return UserError("--address auto: no Ray cluster runs on this machine; ray start --head begins one")
    if address.endswith(f":{CLIENT_PORT}"):
        host = address.rpartition(":")[0]
        return UserError(f"--address {address}: that is the port of Ray's client; say --address ray://{host}")
    return UserError(
        f"--address {address}: no Ray cluster answers there; `ray start --head` on its head prints the address, and a "
        "firewall must let it through"
    )


def ask() -> None:
    """The child: print what the cluster runs on, if it answers."""
    from ray._private.services import canonicalize_bootstrap_address_or_die
    from ray._raylet import GcsClient  # type: ignore[attr-defined]

    address = canonicalize_bootstrap_address_or_die(sys.argv[1])
    found = GcsClient(address=address).internal_kv_get(b"CLUSTER_METADATA", b"cluster")
    about = json.loads(found or b"{}")
    print(json.dumps({"ray": about.get("ray_version"), "python": about.get("python_version")}))
