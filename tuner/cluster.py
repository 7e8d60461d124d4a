"""The Ray cluster that a study runs on."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import ray
from ray._private import ray_constants
from ray._private.node import Node

from search_spaces.errors import UserError
from tuner.config import StudyConfig
from tuner.interrupt import StopNow, pressed, terminate_as_interrupt

PASSED_ON = ("KERAS_BACKEND", "MALLOC_ARENA_MAX")
"""Variables that workers elsewhere need. Those here inherit all; told of some they would start a second later."""

VITAL = {ray_constants.PROCESS_TYPE_RAYLET, ray_constants.PROCESS_TYPE_GCS_SERVER}


@contextmanager
def cluster(config: StudyConfig, terminal: TextIO) -> Iterator[None]:
    """A Ray cluster for the block: the one at --address, one that this process has already, or a new local one.

    Raises:
        UserError: Ray cannot be reached or started.
    """
    if ray.is_initialized():
        yield
        return
    # Workers inherit these. Ray's per-trial CSV, JSON and TensorBoard files would repeat our records.
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # glibc keeps up to eight pools of memory a processor, and each has holes: a worker grew by 1 MB more a trial.
    os.environ.setdefault("MALLOC_ARENA_MAX", "2")
    if config.address:
        print(f"Note: --address {config.address}: whoever may use that cluster may run code in the trials' processes, "
              "and read their images and models", file=terminal, flush=True)  # fmt: skip
    else:
        _stay_on_this_machine()
    passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    try:
        context = ray.init(
            address=config.address or "local",  # and not what RAY_ADDRESS says
            include_dashboard=None if config.address else config.dashboard,
            runtime_env={"env_vars": passed_on} if config.address else None,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        where = f"is not reached at --address {config.address}" if config.address else "does not start"
        raise UserError(f"Ray {where}: {error}") from error
    if context.dashboard_url:
        token = "`ray get-auth-token` prints the token that it asks for"
        print(f"Ray's dashboard: http://{context.dashboard_url} ({token})", file=terminal, flush=True)
    terminate_as_interrupt()  # Ray has just set a handler of its own
    node = ray._private.worker._global_node
    assert node is not None  # of a cluster elsewhere, one without processes
    try:
        with _watched(node, terminal):
            yield
    finally:
        ray.shutdown()


@contextmanager
def _watched(node: Node, terminal: TextIO) -> Iterator[None]:
    """If one of the processes dies that Ray cannot do without, say so and end the block as by Ctrl+C.

    Ray would end this process by itself up to a minute later, without a word and in the middle of whatever it does.
    After Ctrl+C, or a SIGTERM to all of them, it is no news.

    Raises:
        UserError: that happened.
    """
    over, told = threading.Event(), threading.Event()

    def tell() -> None:
        told.set()
        print(f"Ray's {_dead(node)} was killed, or died, so the search ends; what was found is kept for --resume",
              file=terminal, flush=True)  # fmt: skip

    def watch() -> None:
        while not over.wait(1.0):
            if _dead(node):
                if not over.wait(2.0) and not pressed.is_set():
                    tell()
                    pressed.set()
                    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    except (UserError, StopNow):
        raise
    except (KeyboardInterrupt, Exception) as error:
        if not _dead(node) or (pressed.is_set() and not told.is_set()):
            raise
        if not told.is_set():
            tell()
        raise UserError(f"the search has ended with Ray's {_dead(node)}") from error
    finally:
        over.set()
        watcher.join()


def _dead(node: Node) -> str:
    """Those that it cannot do without, in words."""
    return " and ".join(sorted({kind for kind, _ in node.dead_processes()} & VITAL))


def _stay_on_this_machine() -> None:
    """Let the servers of a cluster that is started here listen on 127.0.0.1.

    By default all but the dashboard listen to everybody: metrics without any protection, the others behind a token. Ray
    has a setting for clusters of one machine (ray_constants.py, 2.60), meant for systems whose firewalls would ask.
    """
    os.environ[ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR] = "0"  # for Ray's processes
    ray_constants.ENABLE_RAY_CLUSTER = False
