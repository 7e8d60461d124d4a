"""The Ray cluster that a study runs on."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TextIO

import ray
from ray._private import ray_constants

from search_spaces.causes import cause
from search_spaces.errors import UserError
from tuner.address import has_token
from tuner.config import StudyConfig
from tuner.environment import environment, unless_set
from tuner.interrupt import StopNow, terminate_as_interrupt
from tuner.ray_folder import short_enough
from tuner.ray_watch import RayWatch

OF_THE_DRIVER = {"TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1"}
"""Ray's per-trial CSV, JSON and TensorBoard files would repeat our records."""
# glibc keeps up to eight pools of memory a processor, and each has holes: a worker grew by 1 MB more a trial.
INHERITED = {"TF_CPP_MIN_LOG_LEVEL": "2", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "MALLOC_ARENA_MAX": "2"}
"""By the workers of a cluster that is started here."""
PASSED_ON = ("KERAS_BACKEND", "MALLOC_ARENA_MAX")
"""Variables that workers elsewhere need. Those here inherit all; told of some they would start a second later."""


@contextmanager
def cluster(config: StudyConfig, terminal: TextIO) -> Iterator[None]:
    """A Ray cluster for the block: the one at --address, one that this process has already, or a new local one.

    Raises:
        UserError: Ray cannot be reached or started.
    """
    with environment(unless_set(OF_THE_DRIVER)):
        if ray.is_initialized():
            yield
            return
        is_here = not config.address
        with (
            environment(unless_set(INHERITED)),
            short_enough(lambda note: print(note, file=terminal, flush=True)) if is_here else nullcontext(),
            _on_this_machine(is_here),
            _started(config, terminal),
        ):
            yield


@contextmanager
def _started(config: StudyConfig, terminal: TextIO) -> Iterator[None]:
    passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    try:
        context = ray.init(
            address=config.address or "local",  # and not what RAY_ADDRESS says
            include_dashboard=None if config.address else config.dashboard,
            runtime_env={"env_vars": passed_on} if config.address else None,
        )
    except (OSError, ValueError, RuntimeError) as error:
        where = f"is not reached at --address {config.address}" if config.address else "does not start"
        file = getattr(error, "filename", None)  # where it cannot write
        remedy = (
            f"; let HOME, and TMPDIR or RAY_TMPDIR, name folders that can be written to, not {file}" if file else ""
        )
        raise UserError(f"Ray {where}: {cause(error)}{remedy}") from error
    if config.address:
        found = f" ({ray.get_runtime_context().gcs_address})" if config.address == "auto" else ""
        print(f"Note: --address {config.address}{found}: whoever may use that cluster may run code in the trials' "
              "processes, and read their images and models", file=terminal, flush=True)  # fmt: skip
    if context.dashboard_url:
        token = " (`ray get-auth-token` prints the token, where it asks for one)" if has_token() else ""
        print(f"Ray's dashboard: http://{context.dashboard_url}{token}", file=terminal, flush=True)
    terminate_as_interrupt()  # Ray has just set a handler of its own
    node = ray._private.worker._global_node
    assert node is not None
    if not config.address and (node.metrics_export_port or 0) > 0:  # -1 where Ray was told to have none
        print(f"Metrics for Prometheus: http://127.0.0.1:{node.metrics_export_port}/metrics", file=terminal, flush=True)
    watch = RayWatch(node, terminal)
    watch.start()
    try:
        yield
    except (UserError, StopNow):
        raise
    except (KeyboardInterrupt, Exception) as error:
        if (explanation := watch.explanation()) is None:
            raise
        raise explanation from error
    finally:
        watch.leave()
        ray.shutdown()
        watch.close()


@contextmanager
def _on_this_machine(is_wanted: bool) -> Iterator[None]:
    """Let the servers of a cluster that is started in the block listen on 127.0.0.1.

    By default all but the dashboard listen to everybody: metrics without any protection, the others behind a token. Ray
    has a setting for clusters of one machine (ray_constants.py, 2.60), meant for systems whose firewalls would ask.
    """
    before = ray_constants.ENABLE_RAY_CLUSTER
    with environment({ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR: "0"} if is_wanted else {}):  # for Ray's processes
        ray_constants.ENABLE_RAY_CLUSTER = before and not is_wanted
        try:
            yield
        finally:
            ray_constants.ENABLE_RAY_CLUSTER = before
