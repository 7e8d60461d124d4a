"""The machines of a cluster that others have started: whether trials can run on each of them."""

import hashlib
import importlib.metadata
import importlib.util
import platform
import socket
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TextIO

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from results.paths import RunPaths
from results.run_files import ObjectFiles, RunFiles
from results.wording import counted
from search_spaces.causes import cause
from search_spaces.errors import UserError
from search_spaces.registry import SPACES, SpaceSpec

PACKAGES = ("thaw-tuner", "keras", "keras-tuner", "numpy")
PATIENCE = 120.0
"""Seconds for a machine to answer: its first process may have to be started, and an environment made."""
FIRST = 900.0
"""Seconds for a cluster's first machine to come."""
PROBE = "probe-{}"


@dataclass(frozen=True)
class Question:
    """What a machine is asked."""

    storage: RunFiles
    token: str
    """Of the driver's own file there."""
    weights: tuple[str, ...]
    """Files that trials read."""
    module: str | None
    """Of the user's own space."""
    folder: str


@dataclass(frozen=True)
class Answer:
    """What a machine says of itself."""

    host: str
    versions: Mapping[str, str]
    missing: tuple[str, ...]
    """Files of weights."""
    code: str
    """A digest of the file that the user's space is written in; empty where it is not there."""
    storage: str | None
    """Why it cannot be used from there."""


def check_nodes(paths: RunPaths, spec: SpaceSpec, terminal: TextIO) -> None:
    """Ask every machine that trials may run on, and have it write to the run's storage and read from it.

    Raises:
        UserError: one has other versions or other code, does not answer, has no weights, or cannot use the storage.
    """
    nodes = _nodes(terminal)
    storage = ObjectFiles(paths.remote, patience=0) if paths.remote else paths.files
    module = None if spec.name in SPACES else spec.name.partition(":")[0]
    weights = tuple(source for source in spec.weights.values() if source and Path(source).is_absolute())
    question = Question(storage, uuid.uuid4().hex, weights, module, spec.folder)
    names = [PROBE.format(node["NodeID"]) for node in nodes]
    try:
        with storage.writing(PROBE.format("driver")) as file:
            file.write_text(question.token)
        answers = _answers(nodes, question)
        ours = look(question)
        for node, answer in zip(nodes, answers, strict=True):
            _check(f"{answer.host} ({node['NodeManagerAddress']})", answer, ours, spec, paths)
    finally:
        for name in (PROBE.format("driver"), *names):
            with suppress(OSError):
                storage.remove(name)
    cpus, gpus = (sum(node["Resources"].get(kind, 0) for node in nodes) for kind in ("CPU", "GPU"))
    print(f"Cluster: {counted(len(nodes), 'machine')}, {cpus:g} CPUs, {gpus:g} GPUs", file=terminal, flush=True)


def _nodes(terminal: TextIO) -> list[dict[str, Any]]:
    """Machines that trials may run on; a cluster that has just been begun may still wait for its first one."""
    began, is_told = time.monotonic(), False
    while not (found := [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) > 0]):
        if time.monotonic() > began + FIRST:
            raise UserError(f"the cluster has had no machine with a processor for trials for {FIRST:.0f} s: add one")
        if not is_told:
            print("Waiting for the cluster's first machine with processors", file=terminal, flush=True)
            is_told = True
        time.sleep(1.0)
    return found


def _answers(nodes: Sequence[Mapping[str, Any]], question: Question) -> list[Answer]:
    asked = [
        ray.remote(num_cpus=0, max_calls=1)(look)
        .options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False))
        .remote(question, node["NodeID"])  # type: ignore[call-arg]
        for node in nodes
    ]
    ray.wait(asked, num_returns=len(asked), timeout=PATIENCE)
    found = []
    for node, one in zip(nodes, asked, strict=True):
        try:
            found.append(ray.get(one, timeout=0))
        except (RayError, ModuleNotFoundError, AttributeError) as error:
            raise _unanswered(node, error) from error
    return found


def _unanswered(node: Mapping[str, Any], error: Exception) -> UserError:
    name = f"machine {node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
    raised = getattr(error, "cause", None) or error
    if isinstance(raised, ModuleNotFoundError | AttributeError | RuntimeError) and "No module" in f"{raised}{error}":
        own = importlib.metadata.version("thaw-tuner")
        return UserError(f"{name} of the cluster has no thaw-tuner: install thaw-tuner {own} there as here")
    return UserError(f"{name} of the cluster did not answer within {PATIENCE:.0f} s, or by an error: {cause(error)}")


def look(question: Question, name: str | None = None) -> Answer:
    """On a machine itself; with a name for its probe, where it is not the driver's."""
    versions = {package: importlib.metadata.version(package) for package in PACKAGES}
    versions |= {"python": platform.python_version(), "ray": ray.__version__, "code of thaw-tuner": digest()}
    missing = tuple(file for file in question.weights if not Path(file).is_file())
    return Answer(socket.gethostname(), versions, missing, _code(question), _use(question, name) if name else None)


def _use(question: Question, name: str) -> str | None:
    """Read what the driver wrote, and write something too; why that does not work, if it does not."""
    try:
        with question.storage.reading(PROBE.format("driver")) as file:
            if file is None or file.read_text() != question.token:
                return "what the driver wrote there cannot be seen"
        with question.storage.writing(PROBE.format(name)) as file:
            file.write_text(question.token)
    except OSError as error:
        return str(error.strerror or error)
    return None


def _code(question: Question) -> str:
    if question.module is None:
        return ""
    sys.path.append(question.folder)
    found = None
    with suppress(ModuleNotFoundError):  # of a package around it
        found = importlib.util.find_spec(question.module)
    if found is None or found.origin is None:
        return ""
    return hashlib.sha256(Path(found.origin).read_bytes()).hexdigest()


def _check(name: str, answer: Answer, ours: Answer, spec: SpaceSpec, paths: RunPaths) -> None:
    different = [one for one in ours.versions if answer.versions.get(one) != ours.versions[one]]
    if different:
        said = ", ".join(f"{one} {answer.versions.get(one)} there and {ours.versions[one]} here" for one in different)
        raise UserError(f"machine {name} of the cluster has other versions: {said}; install the same everywhere")
    if answer.storage:
        raise UserError(
            f"--storage {paths.storage}: machine {name} cannot use it: {answer.storage}; give a folder that all "
            "machines share, or s3://BUCKET/RUNS"
        )
    if answer.missing:
        raise UserError(
            f"--weights: machine {name} has no {', '.join(answer.missing)}; copy it to the same path there, or give a "
            "folder that all machines share"
        )
    if answer.code != ours.code:
        raise UserError(
            f"--space {spec.name}: machine {name} has no such module, or another one; install it there, or start with "
            "`ray job submit --working-dir`"
        )


@cache
def digest() -> str:
    """A few letters that tell this package's code from another's of the same version."""
    found = hashlib.sha256()
    root = Path(__file__).parents[1]
    for room in ("search_spaces", "results", "tuner"):
        for file in sorted((root / room).rglob("*.py")):
            found.update(file.read_bytes())
    return found.hexdigest()[:12]
