"""Train the recipes and write docs/reproductions.md: python benchmarks/reproductions.py --data CIFAR10_FOLDER

Each row is trained in a process of its own (one thread, two at a time) on the training images, less 15 % that are held
out to choose the epoch; its test accuracy is that of the epoch with the best validation accuracy. Rows whose weights
cannot be had train from random weights for one epoch on a sample, only to show that they run. Results are kept in
--results as they come, so that the script can be run again for what is missing.
"""

import argparse
import json
import os
import subprocess
import sys
import textwrap
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from search_spaces.recipes import RECIPES

EPOCHS = 8
EPOCHS_OF = {"004-m6": 4}
"""It is twice as wide as the others and takes four times as long."""
SAMPLE = 2_000
REPEATED = "000-cnn"
"""The recipe that is trained on several seeds, beside the best configuration of a search."""
SEEDS = (0, 1, 2)
STAND_IN = "004-m7 with MobileNet"
Job = dict[str, Any]


def jobs(options: argparse.Namespace) -> list[Job]:
    """What there is to train, the quick ones first."""
    found = []
    for recipe in RECIPES.values():
        is_cnn = recipe.space == "custom_cnn"
        seeds = SEEDS if recipe.name == REPEATED else SEEDS[:1]
        for seed in seeds:
            found.append(job(recipe.name, recipe.space, dict(recipe.configuration), seed, is_cnn))
    if options.mobilenet:
        configuration = {**RECIPES["004-m7"].configuration, "backbone": "mobilenet", "warmup_epochs": 2}
        one = job(STAND_IN, "finetune", configuration, 0, True)
        found.append(one | {"weights": str(options.mobilenet), "images": 10_000})
    if options.run:
        for seed in SEEDS:
            found.append(job("best of the search", "custom_cnn", best_configuration(options.run), seed, True))
    return [one for one in found if not options.only or one["name"] in options.only]


def best_configuration(run: str) -> dict[str, Any]:
    """Of the trial with the highest validation accuracy."""
    from results.best_models import BestModels
    from results.paths import RunPaths
    from results.records import read_trials

    paths = RunPaths.existing(Path(run))
    best = BestModels(paths.best).ranked()[0]
    return dict(next(trial.configuration for trial in read_trials(paths) if trial.trial == best.trial))


def job(name: str, space: str, configuration: dict[str, Any], seed: int, is_full: bool) -> Job:
    """One training; a brief one thaws at once what a recipe thaws after a warm-up."""
    if not is_full and "warmup_epochs" in configuration:
        configuration = configuration | {"warmup_epochs": 0}
    return {
        "name": name,
        "space": space,
        "configuration": configuration,
        "seed": seed,
        "epochs": EPOCHS_OF.get(name, EPOCHS) if is_full else 1,
        "images": None if is_full else SAMPLE,
        "weights": None,
    }


def train(one: Job, data: Path) -> Job:
    """In a process of its own: the job with its results."""
    from search_spaces.configuration import complete
    from search_spaces.declaration import declared
    from search_spaces.registry import SpaceSpec
    from search_spaces.task import Task
    from tuner.trial.datasets import load
    from tuner.trial.resources import TrialResources, prepare_process
    from tuner.trial.training import Training

    prepare_process(TrialResources(cpus=1, gpus=0, concurrency=1))
    images = load(str(data), None, one["seed"])
    if one["images"]:
        images = sample(images, one["images"])
    task = Task(images.image_size, len(images.class_names), len(images.train_labels), one["epochs"])
    weights = {one["configuration"].get("backbone", "none"): one["weights"]}
    space = SpaceSpec(one["space"], task, weights, os.getcwd()).create()
    configuration = complete(declared(space), one["configuration"])
    began = time.monotonic()
    training = Training(space, configuration, images, one["epochs"], one["seed"], "mixed_bfloat16")
    best, kept = 0.0, None
    while epoch := training.run_epoch():
        print(one["name"], one["seed"], epoch, file=sys.stderr, flush=True)
        if epoch["val_accuracy"] >= best:
            best, kept, parameters = epoch["val_accuracy"], training.model.get_weights(), epoch["parameters"]
    training.model.set_weights(kept)
    minutes = (time.monotonic() - began) / 60
    pixels, labels = test_images(data, images.class_names)
    accuracy = float((training.model.predict(pixels, batch_size=250, verbose=0).argmax(axis=1) == labels).mean())
    facts = {"validation": best, "test": accuracy, "minutes": minutes, "parameters": parameters}
    return one | facts | {"trained_on": len(images.train_labels), "epochs": training.epoch}


def sample(images: Any, count: int) -> Any:
    """The first `count` training images in a random order, and as many to validate as there are, up to 2,000."""
    import dataclasses

    order = np.random.default_rng(0).permutation(len(images.train_labels))[:count]
    some = np.random.default_rng(0).permutation(len(images.validation_labels))[:2_000]
    return dataclasses.replace(
        images,
        train_images=images.train_images[order],
        train_labels=images.train_labels[order],
        validation_images=images.validation_images[some],
        validation_labels=images.validation_labels[some],
    )


def test_images(data: Path, class_names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The test split, opened after training has ended."""
    from results.images import decode

    files = [
        (file, label) for label, name in enumerate(class_names) for file in sorted((data / "test" / name).iterdir())
    ]
    return np.stack([decode(file, 32) for file, _ in files]), np.array([label for _, label in files])


def run_all(options: argparse.Namespace) -> None:
    """Train what is not in the results yet."""
    done = {(one["name"], one["seed"]) for one in results(options.results)}
    missing = [one for one in jobs(options) if (one["name"], one["seed"]) not in done]

    def run(one: Job) -> None:
        command = [sys.executable, __file__, "--data", str(options.data), "--job", json.dumps(one)]
        answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        with options.results.open("a", encoding="utf-8") as file:
            file.write(answer.splitlines()[-1] + "\n")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, missing))


def results(file: Path) -> list[Job]:
    """What has been trained so far."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.is_file() else []


def table(found: list[Job], data: str, run: str | None) -> str:
    """The document."""
    by_name = defaultdict(list)
    for one in found:
        by_name[one["name"]].append(one)
    order = [*RECIPES, STAND_IN, "best of the search"]
    full = [row(name, by_name[name]) for name in order if name in by_name and by_name[name][0]["epochs"] > 1]
    brief = [row(name, by_name[name]) for name in order if name in by_name and by_name[name][0]["epochs"] == 1]
    head = (
        "| recipe | the document claims | test accuracy here | validation | training images | epochs | seeds | minutes "
        "a seed | parameters |\n|---|---|---|---|---|---|---|---|---|"
    )
    return TEXT.format(
        data=data,
        head=head,
        full="\n".join(full),
        brief="\n".join(brief),
        share="15 %",
        stand_in=STAND_IN,
        search=search_text(run) if run else "",
    )


def search_text(run: str) -> str:
    """Which search the best configuration comes from."""
    from results.paths import RunPaths
    from results.records import read_study
    from search_spaces.configuration import one_line

    options = read_study(RunPaths.existing(Path(run))).options
    names = ("space", "recipes", "trials", "max_epochs", "time_budget", "precision", "fix")
    command = "search of " + ", ".join(f"{name} {options[name]}" for name in names)
    lines = textwrap.wrap(one_line(best_configuration(run)), 110)
    return SEARCH_TEXT.format(command="\n    ".join(textwrap.wrap(command, 110)), configuration="\n    ".join(lines))


def row(name: str, found: list[Job]) -> str:
    """One line of the table: a mean over seeds, with the lowest and the highest."""
    claim = RECIPES[name].accuracy if name in RECIPES else "88.6 %, MobileNetV2" if name == STAND_IN else "not a recipe"
    cells = [
        name,
        claim,
        spread([one["test"] for one in found]),
        spread([one["validation"] for one in found]),
        f"{found[0]['trained_on']:,}",
        str(max(one["epochs"] for one in found)),
        str(len(found)),
        f"{mean(one['minutes'] for one in found):.1f}",
        f"{found[0]['parameters']:,}",
    ]
    return f"| {' | '.join(cells)} |"


def spread(values: list[float]) -> str:
    """A mean in percent, with its range where there are several."""
    text = f"{100 * mean(values):.1f} %"
    return text if len(values) == 1 else f"{text} ({100 * min(values):.1f} to {100 * max(values):.1f} %)"


TEXT = """# The recipes, trained here

Written by `benchmarks/reproductions.py`. Data: {data}. Measured on two CPU cores, two trainings at a time with one
thread each, in bfloat16, other programs beside them at times (the minutes are upper bounds). {share} of the training
images are held out; the test accuracy is that of the epoch with the best validation accuracy, on all 10,000 test
images. Documents trained longer (20 to 50 epochs) and on GPUs. With several seeds: the mean, the lowest, the highest.

{head}
{full}

"{stand_in}" is that recipe on real ImageNet weights, of MobileNet instead of MobileNetV2 and without those of its last
pointwise convolution, with two epochs of warm-up. {search}

The pre-trained weights of these could not be had. They ran for one epoch on a sample, **from random weights**, which
says that they run and nothing else:

{head}
{brief}

`scripts/search.py --list-recipes` shows each recipe's configuration and where it had to depart from its document.
"""
SEARCH_TEXT = """"best of the search" is the configuration with the best validation accuracy of

    {command}

trained anew on seeds of its own, as long as `000-cnn`:

    {configuration}"""


def main() -> None:
    """Parse, train, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="CIFAR-10 as folders: train/CLASS and test/CLASS")
    parser.add_argument("--called", default="CIFAR-10", help="what the data are called in the document")
    parser.add_argument("--mobilenet", type=Path, help="ImageNet weights of MobileNet without its top")
    parser.add_argument("--run", help="run directory of a search of custom_cnn, whose best configuration joins")
    parser.add_argument("--only", nargs="*", help="names of rows")
    parser.add_argument("--results", type=Path, default=Path("runs/reproductions.jsonl"))
    parser.add_argument("--out", type=Path, default=Path("docs/reproductions.md"))
    parser.add_argument("--job", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        print(json.dumps(train(options.job, options.data)))
        return
    options.results.parent.mkdir(parents=True, exist_ok=True)
    run_all(options)
    options.out.write_text(table(results(options.results), options.called, options.run), encoding="utf-8")


if __name__ == "__main__":
    main()
