"""A study from its options to its results: a new run directory, the search, the report."""

import os
import shlex
import shutil
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from filelock import FileLock, Timeout

from results.paths import RunPaths
from results.records import read_study
from results.whole_file import Unwritable, storage_told
from results.wording import from_here
from search_spaces.backbones import check_names, find_weights, unseen
from search_spaces.cifar_cnn import CLASSES
from search_spaces.configuration import fixed
from search_spaces.errors import Unavailable, UserError
from search_spaces.recipes import named
from search_spaces.registry import SPACES
from search_spaces.task import Task
from tuner.chatter import redirected
from tuner.config import StudyConfig, read_configurations
from tuner.earlier_runs import earlier_runs
from tuner.interrupt import StopNow, pressed
from tuner.preparation import Preparation, Preparer, Request, load_weights
from tuner.repetition import MAY_CHANGE, named_trial
from tuner.resumption import changed_code
from tuner.trial.datasets import ImageData, load
from tuner.trial.feature_store import check_folder

if TYPE_CHECKING:
    from tuner.trainable import TrialSettings

WORKS = "this works now: python scripts/search.py --space finetune --data digits"


def run_study(config: StudyConfig) -> RunPaths:
    """Search, and write the run directory: trials, best models, leaderboard and report.

    Raises:
        UserError: something cannot be used; then no trial has started and no run directory is left behind.
    """
    paths = config.paths
    with _new_run(paths), storage_told(paths.root), redirected(paths.log) as terminal:
        _check_early(config)
        data = _load(config)
        print(f"Run {paths.name} in {paths.root}", file=terminal, flush=True)
        print(data.summary(), file=terminal, flush=True)
        _search(config, data, terminal, is_resumed=False)
    return paths


def resume_study(config: StudyConfig) -> RunPaths:
    """Go on with a search where it ended, however it ended; `config` is of `resumption.resumed`.

    Raises:
        UserError: something cannot be used, or another program works on the run; then nothing has changed.
    """
    paths = config.paths
    with storage_told(paths.root), _alone(paths), redirected(paths.log) as terminal:
        if config.feature_store_gb:
            check_folder(config.feature_store.expanduser())
        data = _load_same(config)
        print(f"Run {paths.name} in {paths.root}, resumed", file=terminal, flush=True)
        _search(config, data, terminal, is_resumed=True)
    return paths


def _search(config: StudyConfig, data: ImageData, terminal: TextIO, is_resumed: bool) -> None:
    paths = config.paths
    with _told_at_interrupt(config, terminal), _reporting(paths), _ready(config, data, terminal) as preparation:
        from tuner.search import search

        for note in preparation.notes:
            print(note, file=terminal, flush=True)
        settings = search(config, data, preparation, terminal, is_resumed)
        if config.finalists:
            _decide(config, data, settings, terminal)


@contextmanager
def _ready(config: StudyConfig, data: ImageData, terminal: TextIO) -> Iterator[Preparation]:
    """What the preparation has found, in a Ray cluster for the block; both come about at the same time."""
    with Preparer() as preparer:
        preparer.send(_request(config, data))
        # Imported here, because importing Ray takes seconds and what was wrong so far needs none of it.
        from tuner.cluster import cluster

        with cluster(config, terminal):
            yield _answer(preparer)


def _settings(config: StudyConfig, preparation: Preparation, data: ImageData, terminal: TextIO) -> "TrialSettings":
    """How the trials of a run that is there are trained."""
    from tuner.settings import trial_settings

    if note := changed_code(read_study(config.paths), preparation):
        print(note, file=terminal, flush=True)
    space = fixed(preparation.hyperparameters, config.fix)
    return trial_settings(config, preparation, space, data, terminal)


def repeat_trial(text: str, given: Mapping[str, Any]) -> None:
    """Train once more what --repeat RUN:TRIAL names, with these options, and show how it compares.

    Raises:
        UserError: there is no such trial, its images are gone, or as `StudyConfig.of`.
    """
    if "name" in given:
        raise UserError(f"--name {given['name']}: --repeat {text} names its run itself; leave --name out")
    paths, trial = named_trial(text, given.get("storage", StudyConfig.storage))
    config = StudyConfig.of(read_study(paths), paths, {"dashboard": False} | dict(given), MAY_CHANGE)
    with storage_told(paths.root), _alone(paths), redirected(paths.log) as terminal:
        data = _load_same(config)
        with _ready(config, data, terminal) as preparation:
            from tuner.repetition import repeat

            repeat(config, trial, data, _settings(config, preparation, data, terminal), terminal)


def run_finalists(
    run: Path,
    finalists: int | None,
    seeds: int | None,
    retrain: bool | None,
    open_test_again: bool,
    space: str | None = None,
) -> RunPaths:
    """Train a run's best configurations on new seeds, as far as that is not done, and open its test split.

    What is None is as the study had it; a space that is a user's own code has to be named.

    Raises:
        UserError: no such run, its images have changed, or the test split was opened before and may not be again.
    """
    paths = RunPaths.existing(run)
    study = read_study(paths)
    given = {
        "finalists": finalists or study.options.get("finalists") or 3,
        "finalist_seeds": seeds,
        "retrain": retrain,
        "space": space,
    }
    given = {name: value for name, value in given.items() if value is not None}
    config = StudyConfig.of(study, paths, given, ("finalists", "finalist_seeds", "retrain"))
    if study.test_openings and not open_test_again:
        last = study.test_openings[-1]
        raise UserError(
            f"{run}: the test split was opened on {last.opened} for the {last.model}; whoever chooses after having "
            "seen it, chooses by it. If that is meant, add --open-test-again: it is written down"
        )
    with storage_told(paths.root), _alone(paths), redirected(paths.log) as terminal:
        data = _load_same(config)
        with _told_at_interrupt(config, terminal), _reporting(paths), _ready(config, data, terminal) as preparation:
            _decide(config, data, _settings(config, preparation, data, terminal), terminal, open_test_again)
    return paths


def _decide(
    config: StudyConfig, data: ImageData, settings: "TrialSettings", terminal: TextIO, open_test_again: bool = False
) -> None:
    """The last act; what it cannot do is told, since the search is done all the same."""
    from tuner.finalists import decide

    try:
        decide(config, data, settings, terminal, open_test_again)
    except Unwritable:
        raise
    except UserError as error:
        print(f"Note: the test split stays shut: {error}", file=terminal, flush=True)


@contextmanager
def _reporting(paths: RunPaths) -> Iterator[None]:
    """Write the report after the block, however it ends.

    Not in it: an object of Ray's that is collected in another thread while Ray shuts down ends the process.
    """
    try:
        yield
    except StopNow:
        raise
    except BaseException:
        with suppress(OSError):  # where nothing can be written, that is what is told
            _write_report(paths)
        raise
    _write_report(paths)


def _write_report(paths: RunPaths) -> None:
    if any(paths.trials.glob("*/trial.json")):
        from results.report import write_report

        write_report(paths)


@contextmanager
def _told_at_interrupt(config: StudyConfig, terminal: TextIO) -> Iterator[None]:
    """At Ctrl+C show what is there, if there is anything, and say how to go on."""
    paths = config.paths
    is_main = threading.current_thread() is threading.main_thread()  # only there may handlers be set
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    pressed.clear()
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if not any(paths.trials.glob("*/trial.json")):
            raise
        if not isinstance(interrupt, StopNow):
            from results.summary import print_summary

            with suppress(OSError, UserError, SystemExit):  # of a damaged record, or nobody who reads
                print_summary(paths, terminal)
        storage = shlex.quote(str(from_here(paths.root.parent)))
        where = "" if storage == str(StudyConfig.storage) else f" --storage {storage}"
        space = "" if config.space in SPACES else f" --space {shlex.quote(config.space)}"
        print("\nInterrupted; what was found is kept. Go on with: python scripts/search.py --resume --name "
              f"{paths.name}{where}{space}", file=terminal, flush=True)  # fmt: skip
        raise
    finally:
        for number, handler in before.items() if is_main else ():
            signal.signal(number, handler)


def _check_early(config: StudyConfig) -> None:
    """What can be seen before any image is read."""
    if config.feature_store_gb:
        check_folder(config.feature_store.expanduser())
    if config.space == "finetune" and config.backbones is not None:
        check_names(config.backbones)
        find_weights(config.weights, config.backbones)
    named(config.recipes, config.space)
    earlier_runs(config)
    if config.configs is not None:
        read_configurations(config.configs)


def _load(config: StudyConfig) -> ImageData:
    """The data; when it cannot be downloaded, one error names all that is missing and a command that works."""
    try:
        return load(config.data, config.image_size, config.seed, config.strict)
    except Unavailable as error:
        missing = [error]
        try:
            load_weights(_request(config, None))
        except Unavailable as another:
            missing.append(another)
        raise UserError("\n".join([*map(str, missing), WORKS])) from error


def _answer(preparer: Preparer) -> Preparation:
    try:
        return preparer.result()
    except Unavailable as error:
        raise UserError(f"{error}\n{WORKS}") from error


def _request(config: StudyConfig, data: ImageData | None) -> Request:
    """What the preparation has to know; without `data`, of CIFAR-10, the one source that may be out of reach."""
    task = Task(32, 10, 50_000, config.max_epochs)
    names: Iterable[str] = CLASSES
    if data is not None:
        task = Task(data.image_size, len(data.class_names), len(data.train_labels), config.max_epochs)
        names = data.class_names
    backbones = unseen(config.backbones, names, config.weights) if config.space == "finetune" else ()
    return Request(
        config.space,
        task,
        backbones,
        config.backbones is not None,
        config.weights,
        os.getcwd(),
        config.precision == "auto",
    )


@contextmanager
def _alone(paths: RunPaths) -> Iterator[None]:
    """Hold the run for this program; a lock that ends with it, however that ends.

    Raises:
        UserError: another one has it, or its log is a link, which may lead anywhere.
    """
    if paths.log.is_symlink():
        raise UserError(f"{paths.log} is a link, and not the log of a search: take it away")
    lock = FileLock(paths.lock, blocking=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise UserError(
            f"{paths.root}: another search.py or finalists.py works on this run; wait for its end, or end it"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _load_same(config: StudyConfig) -> ImageData:
    """The images of a run that is there."""
    study, data = read_study(config.paths), load(config.data, config.image_size, config.seed, config.strict)
    if data.fingerprint() != study.data.fingerprint:
        raise UserError(
            f"--data {config.data}: the images there are not those of run {config.paths.name}, which began with "
            f"{study.data.source}: bring them back, or search anew"
        )
    return data


@contextmanager
def _new_run(paths: RunPaths) -> Iterator[None]:
    """Make the run directory, and hold it; take it away again if the block ends by the user's error or wish before a
    first trial.

    After any other error it stays, with the log that tells of it.
    """
    _check_free(paths)
    made = [folder for folder in (paths.root, *paths.root.parents) if not folder.exists()]
    try:
        paths.root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"--storage {paths.root.parent}: cannot write there ({error.strerror}); give another folder"
        ) from error
    with _alone(paths):  # from here on it is this program's to take away
        _check_free(paths)
        try:
            yield
        except (UserError, KeyboardInterrupt):
            if not any(paths.trials.glob("*/trial.json")):
                shutil.rmtree(paths.root, ignore_errors=True)
                with suppress(OSError):  # a folder that another run has begun to use stays
                    for folder in made[1:]:
                        folder.rmdir()
            raise
        except Exception as error:
            if any(paths.trials.glob("*/trial.json")):
                raise
            raise RuntimeError(f"the search did not start; {paths.log} says why") from error


def _check_free(paths: RunPaths) -> None:
    """Nothing is there but what a search left that was ended before it began."""
    if paths.root.exists() and not paths.is_unborn:
        raise UserError(
            f"--name {paths.name}: {paths.root} exists already; choose another name, or go on with it by --resume"
        )
