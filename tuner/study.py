"""A study from its options to its results: a new run directory, the search, the report."""

import os
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO

from results import commands
from results.paths import RunPaths, check_home
from results.records import read_study, read_test, read_trials
from results.remote import existing_run
from results.whole_file import Unwritable, storage_told
from results.wording import NO_REPORT, from_here
from search_spaces.backbones import BACKBONES, check_names, find_weights, unseen
from search_spaces.cifar_cnn import CLASSES
from search_spaces.configuration import fixed
from search_spaces.errors import Unavailable, UserError
from search_spaces.keras_settings import check_keras
from search_spaces.recipes import named
from search_spaces.task import Task
from tuner.address import check_address
from tuner.chatter import redirected
from tuner.config import StudyConfig, read_configurations
from tuner.earlier_runs import earlier_runs
from tuner.extras import check_extras
from tuner.found import Study
from tuner.interrupt import StopNow, pressed
from tuner.opening_lines import opening_lines
from tuner.options import coerced
from tuner.own_images import kept, own_images
from tuner.preparation import Preparation, Preparer, Request, load_weights
from tuner.repetition import MAY_CHANGE, named_trial
from tuner.resumption import changed_code, not_given_again, resumed
from tuner.run_folder import mirrored, new_run, writing
from tuner.trial.datasets import ImageData, load
from tuner.trial.feature_store import check_folder
from tuner.trial.image_arrays import Labelled
from tuner.trial.shared_images import shared_images

if TYPE_CHECKING:
    from tuner.trainable import TrialSettings

WORKS = f"this works now: {commands.search(space='finetune', data='digits')}"


def run_study(
    config: StudyConfig,
    data: Any = None,
    *,
    validation_data: Any = None,
    test_data: Any = None,
    class_names: Sequence[str] | None = None,
    scale: float | tuple[float, float] | None = None,
) -> Study:
    """Search, and write the run directory: trials, best models, leaderboard and report.

    Images that are at hand are given as `(images, labels)`, or as a `tf.data.Dataset` of such pairs, batched or not.
    Images are (n, height, width), (n, height, width, 1) or (n, height, width, 3): whole numbers of 0..255 or of 10 to
    16 bits, or floats of 0..255 or 0..1. Labels are whole numbers from 0, or one-hot. They are written once into the
    run directory, as `images.npz`, so that everything that works on a run works on this one.

    Args:
        config: the options.
        data: the training images; by default what `config.data` names.
        validation_data: by default 15 % drawn from `data`, stratified.
        test_data: the same; trials never see them.
        class_names: in the order of the labels; by default their numbers.
        scale: the values of the images that are black and white, such as (0, 1), or of white alone. By default the
            training images tell it; where they do not, that is an error.

    Raises:
        UserError: something cannot be used; then no trial has started and no run directory is left behind.
    """
    paths, given = config.paths, None
    notes: tuple[str, ...] = ()
    if any(one is not None for one in (data, validation_data, test_data, class_names, scale)):
        given = own_images(config, data, validation_data, test_data, class_names, scale)
        notes = given.notes
    with (
        new_run(paths),
        storage_told(paths.root, paths.remote),
        redirected(paths.log) as terminal,
        mirrored(paths, terminal),
    ):
        _check_early(config)
        if given is not None:
            config, given = kept(config, given), None
        images = _load(config)
        print(f"Run {paths.name} in {paths.place}", file=terminal, flush=True)
        print(images.summary(), file=terminal, flush=True)
        shared: Sequence[str] = ()
        if validation_data is None:  # else they have been compared as they were given
            shared = shared_images(
                {
                    "training": Labelled(images.train_images, images.train_labels),
                    "validation": Labelled(images.validation_images, images.validation_labels),
                }
            )
        for note in dict.fromkeys((*notes, *shared)):
            print(f"Note: {note}", file=terminal, flush=True)
        _search(config, images, terminal, is_resumed=False)
    return Study(paths)


def resume_study(run: str | os.PathLike[str], **options: Any) -> Study:
    """Go on with a search where it ended, however it ended.

    Args:
        run: its run directory, or its `Study`.
        options: of `StudyConfig`, those that are to be others than before: `trials=40`, `time_budget="1h"`.

    Raises:
        UserError: no such run, an option that may not change, or as `run_study`.
    """
    paths = existing_run(_place(run))
    return go_on(resumed(coerced(StudyConfig, options) | {"name": paths.name, "storage": paths.storage}))


def _place(run: str | os.PathLike[str]) -> str | os.PathLike[str]:
    """Of a `Study` where it is kept; its path is that of this machine's copy."""
    return run.paths.place if isinstance(run, Study) else run


def go_on(config: StudyConfig) -> Study:
    """Resume the search of a `config` that is of `resumption.resumed`.

    Raises:
        UserError: something cannot be used, or another program works on the run; then nothing has changed.
    """
    paths = config.paths
    check_extras(config)
    with writing(paths), redirected(paths.log) as terminal, mirrored(paths, terminal):
        data = _load_same(config)
        print(f"Run {paths.name} in {paths.place}, resumed", file=terminal, flush=True)
        _caught_up(paths, terminal)
        for note in not_given_again(read_study(paths), config):
            print(note, file=terminal, flush=True)
        _search(config, data, terminal, is_resumed=True)
    return Study(paths)


def _search(config: StudyConfig, data: ImageData, terminal: TextIO, is_resumed: bool) -> None:
    paths = config.paths
    with (
        _told_at_interrupt(paths, _resume_command(config), terminal),
        _reporting(paths),
        _ready(config, data, terminal) as preparation,
        ExitStack() as until_end,
    ):
        from tuner.search import search

        for note in (*opening_lines(config), *preparation.notes):
            print(note, file=terminal, flush=True)
        settings = search(config, data, preparation, terminal, until_end, is_resumed)
        if config.finalists and _may_decide(config, terminal):
            _decide(config, data, settings, terminal, seconds=_finalists_time(config))


def _finalists_time(config: StudyConfig) -> float | None:
    """Seconds that the finalists of a search have left; None for no limit."""
    from tuner.clock import searched

    budget = config.finalists_budget
    return None if budget is None else max(0.0, budget - searched(read_trials(config.paths.finalists)))


def _may_decide(config: StudyConfig, terminal: TextIO) -> bool:
    """Whether this driver trains the finalists, if there are several."""
    if config.study_storage is None:
        return True
    from tuner.shared_study import SharedStudy

    driver = read_study(config.paths).driver
    try:
        if SharedStudy(config.study_storage, config.paths.name, driver).claim_finalists(driver):
            return True
        why = "another driver of the study trains them"
    except UserError as error:
        why = f"the database does not say whether another driver trains them ({error}); scripts/finalists.py does"
    print(f"No finalists here: {why}", file=terminal, flush=True)
    return False


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
    paths, trial = named_trial(text, str(given.get("storage", StudyConfig.storage)))
    config = StudyConfig.of(read_study(paths), paths, {"dashboard": False} | dict(given), MAY_CHANGE)
    with writing(paths), redirected(paths.log) as terminal, mirrored(paths, terminal):
        data = _load_same(config)
        with _ready(config, data, terminal) as preparation:
            from tuner.repetition import repeat

            repeat(config, trial, data, _settings(config, preparation, data, terminal), terminal)


def run_finalists(
    run: str | os.PathLike[str],
    finalists: int | None = None,
    seeds: int | None = None,
    retrain: bool | None = None,
    open_test_again: bool = False,
    space: str | None = None,
    time_budget: float | None = None,
) -> Study:
    """Train a run's best configurations on new seeds, as far as that is not done, and open its test split.

    Args:
        run: its run directory, or its `Study`.
        finalists: how many configurations at most; by default as searched, or 3.
        seeds: for each; by default as searched.
        retrain: whether to train the winner on the validation images too then; by default as searched.
        open_test_again: though it has been opened; that is written down. Without it a run of which nothing is left to
            be done stays as it is.
        space: has to be named again where it is a user's own code.
        time_budget: seconds for the trainings; None for no limit, whatever the search had.

    Raises:
        UserError: no such run, its images have changed, or the test split was opened before and may not be again.
    """
    paths = existing_run(_place(run))
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
        if _is_decided(config):
            print(f"All is done: the finalists are trained, and the test split was opened on {last.opened} for the "
                  f"{last.model}", flush=True)  # fmt: skip
            return Study(paths)
        raise UserError(
            f"{run}: the test split was opened on {last.opened} for the {last.model}; whoever chooses after having "
            "seen it, chooses by it. If that is meant, add --open-test-again: it is written down"
        )
    again = commands.finalists(
        commands.named(paths),
        finalists=finalists,
        finalist_seeds=seeds,
        retrain=retrain,
        no_retrain=retrain is False,
        time_budget=time_budget,
        space=commands.own_space(config.space),
        open_test_again=open_test_again,
    )
    with writing(paths), redirected(paths.log) as terminal, mirrored(paths, terminal):
        data = _load_same(config)
        _caught_up(paths, terminal)
        with (
            _told_at_interrupt(paths, again, terminal),
            _reporting(paths),
            _ready(config, data, terminal) as preparation,
        ):
            settings = _settings(config, preparation, data, terminal)
            _decide(config, data, settings, terminal, open_test_again, time_budget)
    return Study(paths)


def _is_decided(config: StudyConfig) -> bool:
    """Whether nothing is left to be trained of what is asked for, and the test split has been opened for it."""
    from tuner.finalists import are_trained

    test = read_test(config.paths)
    return test is not None and are_trained(config) and (test.is_retrained or not config.retrain)


def _decide(
    config: StudyConfig,
    data: ImageData,
    settings: "TrialSettings",
    terminal: TextIO,
    open_test_again: bool = False,
    seconds: float | None = None,
) -> None:
    """The last act; what it cannot do is told, since the search is done all the same."""
    from tuner.finalists import decide

    try:
        decide(config, data, settings, terminal, open_test_again, seconds)
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


def _caught_up(paths: RunPaths, terminal: TextIO) -> None:
    """Write the report of an earlier session that was killed before it could, and say so."""
    from results.report import is_missing, write_report

    if is_missing(paths):
        write_report(paths)
        print(f"{NO_REPORT}; it is written now: {from_here(paths.report)}", file=terminal, flush=True)


def _write_report(paths: RunPaths) -> None:
    if any(paths.trials.glob("*/trial.json")):
        from results.report import write_report

        write_report(paths)


@contextmanager
def _told_at_interrupt(paths: RunPaths, again: str, terminal: TextIO) -> Iterator[None]:
    """At Ctrl+C show what is there, if there is anything, and say by which command it goes on."""
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
        print(f"\nInterrupted; what was found is kept. Go on with: {again}", file=terminal, flush=True)
        raise
    finally:
        for number, handler in before.items() if is_main else ():
            signal.signal(number, handler)


def _resume_command(config: StudyConfig) -> str:
    """Goes on with a search wherever it was cut off, among its finalists too; with what no record is believed."""
    paths = config.paths
    storage = paths.storage if paths.remote else str(from_here(paths.root.parent))
    return commands.search(
        resume=True,
        name=paths.name,
        storage=None if storage == StudyConfig.storage else storage,
        space=commands.own_space(config.space),
        address=config.address,
        study_storage=config.study_storage,
        mlflow=config.mlflow,
    )


def _check_early(config: StudyConfig) -> None:
    """What can be seen before any image is read."""
    check_extras(config)
    _check_place(config)
    _check_weights(config)
    named(config.recipes, config.space)
    earlier_runs(config)
    if config.configs is not None:
        read_configurations(config.configs)


def _check_weights(config: StudyConfig) -> None:
    """Where backbones are searched; one file fits one of them, which --backbones has to name."""
    if config.space != "finetune":
        return
    if config.backbones is not None:
        check_names(config.backbones)
    find_weights(config.weights, config.backbones or tuple(BACKBONES), needs_all=config.backbones is not None)


def _check_place(config: StudyConfig) -> None:
    """Where it runs."""
    check_keras()
    check_home()
    if config.address is not None:
        check_address(config.address)
    if config.study_storage is not None:
        from tuner.shared_study import check_database

        check_database(config.study_storage)
    if config.feature_store_gb:
        check_folder(config.feature_store.expanduser())


def _load(config: StudyConfig) -> ImageData:
    """The data; when it cannot be downloaded, one error names all that is missing and a command that works."""
    try:
        return load(config.data, config.image_size, config.seed, config.strict, config.leave_out)
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


def _load_same(config: StudyConfig) -> ImageData:
    """The images of a run that is there, once it can go on where it is to."""
    _check_place(config)
    _check_weights(config)
    study = read_study(config.paths)
    data = load(config.data, config.image_size, config.seed, config.strict, config.leave_out)
    if data.fingerprint() != study.data.fingerprint:
        raise UserError(
            f"--data {config.data}: the images there are not those of run {config.paths.name}, or are read otherwise "
            "by this version; it began with "
            f"{study.data.source}: bring them back, or search anew"
        )
    return data
