"""The commands that are printed for people to type: composed here and nowhere else, so that a test can parse each."""

import json
import shlex
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from results.description import BACKBONE
from results.paths import RunPaths
from results.records import StudyRecord, TrialRecord, read_study
from results.wording import from_here
from search_spaces.hyperparameter import Value
from search_spaces.registry import SPACES

MODEL = "model.keras"
"""Where export.py writes by default."""


def search(**options: Any) -> str:
    """`python scripts/search.py` with these options; those that are None or False are left out."""
    return _script("search", **options)


def finalists(run: str, **options: Any) -> str:
    """`python scripts/finalists.py RUN` with these options."""
    return _script("finalists", run, **options)


def finalists_of(paths: RunPaths, **options: Any) -> str:
    """`python scripts/finalists.py` of a run, which names the run's space again where that is somebody's own code."""
    return finalists(named(paths), **options, space=own_space(read_study(paths).options.get("space")))


def own_space(space: str | None) -> str | None:
    """The space where it is somebody's own code, which has to be named again."""
    return None if space in SPACES else space


def report(run: str) -> str:
    """`python scripts/report.py RUN`."""
    return _script("report", run)


def export(run: str) -> str:
    """`python scripts/export.py RUN --out model.keras`."""
    return _script("export", run, out=MODEL)


def predict(model: str) -> str:
    """`python scripts/predict.py MODEL IMAGE...`."""
    return f"{_script('predict', model)} IMAGE..."


def classify(address: str) -> str:
    """How a program has an image classified by the server at an address; quoted, since `?` is a glob to zsh."""
    return f"curl --data-binary @IMAGE {shlex.quote(f'{address}/classify?top=3')}"


def named(paths: RunPaths) -> str:
    """A run as one would type it: its URI, or its folder, relative when it lies inside the current directory."""
    return paths.remote or str(from_here(paths.root))


def once_more(study: StudyRecord, trial: TrialRecord, source: str) -> str:
    """Train a trial of the study, and then its finalists, once more: same images, splits, seeds and backbone.

    Args:
        study: the study's record.
        trial: one of its trials.
        source: where the study's images are.
    """
    kept = ("space", "leave_out", "weights", "max_epochs", "views", "seed", "finalist_seeds", "retrain")
    options = {name: study.options.get(name) for name in kept}
    if BACKBONE in trial.configuration and study.options.get("space") == "finetune":
        options["backbones"] = trial.configuration[BACKBONE]  # --weights may be that one's file
    options |= {"data": source, "image_size": study.data.image_size, "trials": 1}
    options |= {"finalists": min(1, study.options.get("finalists", 0))}  # where the test split stayed shut, it does
    return search(**options, scheduler="none", precision=study.precision, fix=trial.configuration)


def _script(script: str, /, *words: str, **options: Any) -> str:
    parts = ["python", f"scripts/{script}.py", *words]
    for option, value in options.items():
        flag = f"--{option.replace('_', '-')}"
        if isinstance(value, Mapping):
            parts += [part for item in value.items() for part in (flag, _setting(*item))]
        elif value is True:
            parts.append(flag)
        elif isinstance(value, list | tuple):
            parts += [flag, ",".join(map(str, value))] if value else []
        elif value is not None and value is not False:
            parts += [flag, str(value)]
    return shlex.join(parts)


def _setting(name: str, value: Value) -> str:
    """NAME=VALUE; a word that would be read as a number, or as true or false, stands in JSON's quotation marks."""
    if isinstance(value, str):
        return f"{name}={json.dumps(value) if _is_json(value) else value}"
    return f"{name}={json.dumps(value)}"


def _is_json(text: str) -> bool:
    for read in (text, text.lower()):
        with suppress(ValueError):
            json.loads(read)
            return True
    return not text
