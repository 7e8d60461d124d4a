"""What has to be known before the first trial and takes the training library to know. It runs in a child process.

So the driver never loads that library and stays small, and the library is imported while data are read and Ray starts.
The child reads a `Request` and writes a `Preparation` or an exception, pickled, through pipes that only it and the
driver hold. (Not multiprocessing: its way to start a child would run a user's main module again.)
"""

import hashlib
import os
import pickle
import subprocess
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from search_spaces.causes import told
from search_spaces.configuration import complete
from search_spaces.errors import UserError
from search_spaces.hyperparameter import Hyperparameter
from search_spaces.registry import SPACES, SpaceSpec
from search_spaces.task import Task

if TYPE_CHECKING:
    from search_spaces.discovery import Discovery


@dataclass(frozen=True)
class Request:
    """Which space, for which task, with which weights; the options are those of search.py."""

    space: str
    task: Task
    backbones: tuple[str, ...]
    needs_all: bool
    """Whether a backbone whose weights cannot be had is an error; else it is left out."""
    weights: str
    folder: str
    """The user's working folder."""
    measures: bool = False
    """Whether to find out the faster precision of this machine's processors."""


@dataclass(frozen=True)
class Preparation:
    """A space that can be constructed and whose weights fit, and its hyperparameters."""

    spec: SpaceSpec
    hyperparameters: tuple[Hyperparameter, ...]
    backend: str
    """Keras's, such as "tensorflow"."""
    precision: str | None = None
    """The faster one, where the request asks for it."""
    notes: tuple[str, ...] = ()
    """What the user should know of it, a sentence each."""
    code: str = ""
    """A digest of the file that the space is written in, where it is a user's own."""
    needs_code: tuple[str, ...] = ()
    """Layers and functions of its models that Keras does not have: such a model is not loaded without their code."""


class Preparer:
    """The child process; a context manager that ends it."""

    def __enter__(self) -> "Preparer":
        # It sees no GPU: the memory there belongs to the trials.
        environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
        # -P: a user's file tuner.py or keras.py in the working folder is not what is meant.
        command = [sys.executable, "-P", "-c", "from tuner.preparation import serve; serve()"]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        return self

    def __exit__(self, *exception: object) -> None:
        self._child.kill()
        for pipe in (self._child.stdin, self._child.stdout):
            with suppress(BrokenPipeError):
                cast(BinaryIO, pipe).close()
        self._child.wait()

    def send(self, request: Request) -> None:
        """Give the child its request; it goes to work at once."""
        with suppress(BrokenPipeError), cast(BinaryIO, self._child.stdin) as pipe:  # `result` tells of a dead child
            pickle.dump(request, pipe)

    def result(self) -> Preparation:
        """Wait for the child's answer.

        Raises:
            UserError: weights or space cannot be used.
            RuntimeError: the child failed otherwise; the log says why.
        """
        try:
            answer = pickle.load(cast(BinaryIO, self._child.stdout))
        except EOFError:  # which says nothing
            raise RuntimeError("the process that prepares the study died") from None
        if isinstance(answer, BaseException):
            raise answer
        return cast(Preparation, answer)


def prepare(request: Request) -> Preparation:
    """Check weights and space, and find the space's hyperparameters.

    Raises:
        UserError: weights or space cannot be used.
    """
    import keras

    from search_spaces.backbones import keras_cache
    from tuner.trial.precision import fastest

    weights, left_out = load_weights(request)
    notes = []
    if left_out:
        notes.append(
            f"Backbones: {', '.join(weights)}. Left out, because their weights cannot be had (in "
            f"{request.weights if request.weights != 'imagenet' else keras_cache('models')}): {', '.join(left_out)}"
        )
    spec = SpaceSpec(request.space, request.task, weights, request.folder)
    found = _found(spec)
    notes += found.notes
    if not found.hyperparameters:
        raise UserError(
            f"--space {request.space} declares no hyperparameter, so there is nothing to search: "
            "its build(hp) must ask hp for a value, as in hp.Float('learning_rate', 1e-4, 1e-2, sampling='log')"
        )
    return Preparation(
        spec,
        tuple(found.hyperparameters),
        keras.config.backend(),
        fastest() if request.measures else None,
        tuple(notes),
        "" if request.space in SPACES else _code(request.space.partition(":")[0]),
        found.needs_code,
    )


def _code(module: str) -> str:
    """Of a module that has been imported."""
    file = sys.modules[module].__file__
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16] if file else ""


@dataclass(frozen=True)
class _Found:
    """What is to be known of a space."""

    hyperparameters: Sequence[Hyperparameter]
    notes: tuple[str, ...] = ()
    needs_code: tuple[str, ...] = ()


def _found(spec: SpaceSpec) -> _Found:
    from search_spaces.declaration import declared

    space = spec.create()
    if spec.name in SPACES:
        return _Found(declared(space))
    from search_spaces.discovery import discovered
    from search_spaces.first_model import check_first
    from search_spaces.source import raised_at, written_at

    what = "built"
    notes: tuple[str, ...] = ()
    try:
        if hasattr(space, "declare"):
            hyperparameters = declared(space)
            buildable = complete(hyperparameters, {})
        else:
            discovery = discovered(space, spec.task)
            hyperparameters, buildable = discovery.hyperparameters, dict(discovery.buildable)
            notes = _notes(spec, discovery)
        what = "trained"
        needed = check_first(space, spec.task, buildable)
    except Exception as error:
        place = raised_at(error) or written_at(space)
        text = f"--space {spec.name}: a model of it cannot be {what}: {told(error)} ({place})"
        raise UserError(text) from error
    if needed:
        notes += (
            f"--space {spec.name}: its models cannot be exported, tested or served, because Keras does not load "
            f"{', '.join(needed)} without the code ({written_at(space)}). They are searched and compared all the same; "
            "Keras's own layers in their place mend that",
        )
    return _Found(hyperparameters, notes, needed)


def _notes(spec: SpaceSpec, found: "Discovery") -> tuple[str, ...]:
    """What of the space is not searched as it is written."""
    mends = "A method declare(hp) that registers all mends that"
    notes = []
    if not found.is_whole:
        notes.append(
            f"--space {spec.name} has too many values to build a model for each: a hyperparameter that is asked for "
            f"under some of them only may keep its default. {mends}"
        )
    if found.varying:
        notes.append(
            f"--space {spec.name}: the range of {', '.join(found.varying)} depends on other hyperparameters; the first "
            f"one is searched, as KerasTuner does. {mends}"
        )
    if found.lacking:
        notes.append(
            f"--space {spec.name}: {', '.join(found.lacking)} is in its source, but no model that was tried has asked "
            f"for it, so it keeps its default. {mends}"
        )
    return tuple(notes)


def load_weights(request: Request) -> tuple[dict[str, str | None], tuple[str, ...]]:
    """Where each backbone of the study has its weights from, and those left out because theirs cannot be had.

    All are loaded once to see that they fit.

    Raises:
        Unavailable: ImageNet weights that are neither cached nor downloadable, of a needed backbone or of all.
        UserError: an unknown backbone, no such file, or weights of another architecture.
    """
    if request.space != "finetune":
        return {}, ()
    from search_spaces.backbones import check_names, find_weights, unavailable, without_weights

    check_names(request.backbones)
    found = find_weights(request.weights, request.backbones, request.needs_all)
    missing = without_weights(found)
    if missing and (request.needs_all or len(missing) == len(found)):
        raise unavailable(missing)
    weights = {name: source for name, source in found.items() if name not in missing}
    return weights, tuple(name for name in request.backbones if name not in weights)


def serve() -> None:
    """The child: import the training library, wait for the request, answer it. What is printed goes to the log."""
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)
        import search_spaces.discovery  # noqa: F401

        try:
            request = pickle.load(sys.stdin.buffer)
        except EOFError:  # the driver had no use for an answer
            return
        try:
            answer: Preparation | Exception = prepare(request)
        except UserError as error:
            answer = error
        except Exception:
            answer = RuntimeError(traceback.format_exc())
        pickle.dump(answer, answers)
