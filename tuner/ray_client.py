"""A search that is started from a machine outside of the cluster, by Ray Client: its driver runs on the cluster's head.

Ray Tune's own way, to send searcher and callbacks there, would write records on a machine whose folders nobody named.
So the whole search runs there, with its run directory, and what it prints is shown here.
"""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from results.run_files import is_uri
from search_spaces.causes import cause
from search_spaces.errors import UserError
from tuner.address import CLIENT_PORT, PATIENCE, has_token, no_address
from tuner.config import StudyConfig
from tuner.options import flag

NAMES = {"data": ("cifar10", "digits"), "weights": ("imagenet", "none")}
"""Values of options that are no paths."""
ATTEMPTS, NOT_BEGUN = 4, "Initialization failure from server"
"""How often to connect, where Ray's client says this."""
FOLDERS = ("data", "weights", "storage", "configs", "feature_store")


def search_there(given: Mapping[str, Any], is_resumed: bool) -> int:
    """Search, or resume, on the head of the cluster at `given["address"]`; paths are paths there.

    Returns:
        The exit status for a shell.

    Raises:
        UserError: nothing answers there, a path is not absolute, or as `run_study`.
    """
    address = given["address"]
    options = {"storage": StudyConfig.storage} | dict(given)
    for name in FOLDERS:
        if (value := options.get(name)) is not None and not _is_absolute(name, str(value)):
            raise UserError(
                f"{flag(name)} {value}: the driver of a search at --address {address} runs on the cluster's head; give "
                "an absolute path there" + (", or s3://BUCKET/RUNS" if name == "storage" else "")
            )
    _check(address)
    import grpc
    import ray
    from ray.exceptions import RayError, RayTaskError, TaskCancelledError

    try:
        connect(address)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UserError(
            f"--address {address}: {_short(error)}; see that it is a Ray cluster's head, and that RAY_AUTH_TOKEN is "
            "what `ray get-auth-token` prints there"
        ) from error
    try:
        return _result(_begun(options, is_resumed), address)
    except TaskCancelledError as error:
        raise KeyboardInterrupt from error
    except RayTaskError as error:
        cause = getattr(error, "cause", error)
        if isinstance(cause, UserError):
            raise UserError(str(cause)) from error
        raise
    except (ConnectionError, grpc.RpcError) as error:
        raise UserError(
            f"--address {address}: the connection to the cluster's head was lost ({_short(error)}); if the search "
            "ended with it, --resume goes on"
        ) from error
    except RayError as error:
        raise UserError(
            f"--address {address}: the search's process on the cluster's head has ended ({_short(error)}); --resume "
            "goes on"
        ) from error
    finally:
        ray.shutdown()


def connect(address: str) -> None:
    """`ray.init`, again where Ray's server failed to begin one for this client.

    It forks while other threads of it use gRPC, of which the child dies now and then (Ray 2.60;
    https://github.com/ray-project/ray/issues/63202). What it then says depends on the moment at which it looks for the
    child.
    """
    import ray

    for attempt in range(1, ATTEMPTS + 1):
        try:
            ray.init(_with_port(address))
            return
        except ConnectionError as error:
            if NOT_BEGUN not in str(error) or attempt == ATTEMPTS:
                raise
            print(f"Note: --address {address}: no server for this client ({_short(error)}); asking again", flush=True)
            ray.shutdown()


def _begun(given: dict[str, Any], is_resumed: bool) -> Any:
    """The search, as a task on the cluster's head."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    head = next(node["NodeID"] for node in ray.nodes() if "node:__internal_head__" in node["Resources"])
    there = ray.remote(num_cpus=0, max_retries=0)(_search).options(
        scheduling_strategy=NodeAffinitySchedulingStrategy(head, soft=False)
    )
    return there.remote(given, is_resumed)


def _result(running: Any, address: str) -> int:
    """What it ends with; Ctrl+C ends it there."""
    import ray

    try:
        return int(ray.get(running))
    except KeyboardInterrupt:
        ray.cancel(running)
        ray.wait([running], timeout=60)
        print(f"\nInterrupted. Once a trial has begun it goes on by --resume --address {address}, with its --name and "
              "--storage", flush=True)  # fmt: skip
        raise


def _search(given: dict[str, Any], is_resumed: bool) -> int:
    """On the head, for the cluster that this is part of."""
    import ray

    from tuner.resumption import resumed
    from tuner.study import go_on, run_study

    given["address"] = ray.get_runtime_context().gcs_address
    study = go_on(resumed(given)) if is_resumed else run_study(StudyConfig(**given))
    return study.print_summary()


def _is_absolute(name: str, value: str) -> bool:
    return value in NAMES.get(name, ()) or is_uri(value) or Path(value).is_absolute() or value.startswith("~")


def _short(error: Exception) -> str:
    """What it says, on one line; of a traceback in it the reason."""
    said = str(error)
    return cause(error) if "Traceback (most recent call last)" in said else " ".join(said.split())[:300]


def _with_port(address: str) -> str:
    return address if urlsplit(address).port else f"{address.rstrip('/')}:{CLIENT_PORT}"


def _check(address: str) -> None:
    """See that a server answers; from then on a token is shown, if there is one. Ray itself asks for half a minute."""
    try:
        parts = urlsplit(_with_port(address))
        host, port = parts.hostname or "", parts.port or 0
    except ValueError as error:
        raise no_address(address) from error
    try:
        socket.create_connection((host, port), timeout=PATIENCE).close()
    except OSError as error:
        raise UserError(
            f"--address {address}: nothing answers there ({error.strerror or error}); `ray start --head` opens port "
            f"{CLIENT_PORT} on a cluster's head"
        ) from error
    if has_token():
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    import grpc
    from ray._private.grpc_utils import init_grpc_channel
    from ray.util.client.common import GRPC_OPTIONS

    channel = init_grpc_channel(parts.netloc, options=GRPC_OPTIONS)  # Ray's: by no proxy
    try:
        grpc.channel_ready_future(channel).result(timeout=PATIENCE)
    except grpc.FutureTimeoutError:
        raise UserError(
            f"--address {address}: what answers there is no server of Ray's client, or it hangs; `ray start --head` "
            f"opens one at port {CLIENT_PORT} on a cluster's head"
        ) from None
    finally:
        channel.close()
