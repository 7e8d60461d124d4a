"""Search for the best configuration: python scripts/search.py --space finetune"""

from pathlib import Path
from typing import Annotated as A

from typer import Context, Exit, Option, Typer

from search_spaces.errors import reported
from search_spaces.recipes import RECIPES
from tuner.config import DEFAULT_STORE


def print_recipes(is_asked: bool) -> None:
    if is_asked:
        print("\n\n".join(map(str, RECIPES.values())))
        raise Exit


def main(
    context: Context,
    space: A[str, Option(help="finetune, custom_cnn, or PACKAGE.MODULE:NAME of a KerasTuner HyperModel.")] = "finetune",
    data: A[str, Option(help="cifar10, digits, or a folder with a subfolder a class, or of such splits.")] = "cifar10",
    image_size: A[int | None, Option(help="Side in pixels. Default: their own if alike and square, or 96.")] = None,
    strict: A[bool, Option("--strict", help="An image that does not decode is an error, not skipped.")] = False,
    weights: A[str, Option(help="imagenet, none, a file, or a folder of <backbone>.weights.h5.")] = "imagenet",
    backbones: A[str | None, Option(help="Those that finetune may choose: A,B. Default: all that can be had.")] = None,
    trials: A[int, Option(help="Number of configurations to try.")] = 20,
    max_epochs: A[int, Option(help="Epochs of a trial that is not stopped early.")] = 20,
    time_budget: A[str | None, Option(help="End the search after this long: 90s, 30m, 1.5h, 2d.")] = None,
    recipes: A[str, Option(help="Known systems to try first: A,B or all; they count among --trials.")] = "",
    list_recipes: A[bool, Option("--list-recipes", callback=print_recipes, is_eager=True, help="Show them.")] = False,
    configs: A[Path | None, Option(help="JSON list of configurations to try first; they count, too.")] = None,
    fix: A[list[str] | None, Option(metavar="NAME=VALUE", help="Keep a hyperparameter there; repeatable.")] = None,
    warm_start: A[str, Option(help="Runs of the same space and classes to learn from: RUN,RUN.")] = "",
    max_parameters: A[int | None, Option(help="Train no model that has more.")] = None,
    max_latency: A[float | None, Option(help="Train no model that takes more milliseconds for an image.")] = None,
    scheduler: A[str, Option(help="asha stops weak trials early; none trains all to the end.")] = "asha",
    grace_epochs: A[int, Option(help="Epochs before ASHA may stop a trial: its first rung.")] = 1,
    reduction_factor: A[float, Option(help="ASHA lets about one in this many go on from each rung.")] = 3.0,
    max_failures: A[int, Option(help="Lost workers after which a trial is given up.")] = 3,
    trial_timeout: A[str, Option(help="A trial hangs that has no epoch for this long.")] = "6h",
    concurrency: A[int | None, Option(help="Most trials at a time. Default: as many as fit.")] = None,
    cpus_per_trial: A[float | None, Option(help="CPUs (threads) of a trial. Default: 1, or a GPU's share.")] = None,
    gpus_per_trial: A[float | None, Option(help="GPUs of a trial, or a share. Default: what it needs.")] = None,
    precision: A[str, Option(help="float32, bfloat16, or auto: the faster one here, measured once.")] = "auto",
    feature_store: A[Path, Option(help="Folder of what frozen layers put out, kept for later runs.")] = DEFAULT_STORE,
    feature_store_gb: A[float, Option(help="What it may hold; what was used longest ago goes first. 0: none.")] = 20.0,
    views: A[int, Option(help="Augmented views of each image to keep; 0 augments anew in each epoch.")] = 0,
    finalists: A[int, Option(help="Best configurations to train again at the end. 0: the test split stays shut.")] = 3,
    finalist_seeds: A[int, Option(help="New seeds for each finalist.")] = 3,
    retrain: A[bool, Option("--retrain", help="Then train the winner on the validation images too.")] = False,
    seed: A[int, Option(help="Draws splits, configurations and weights.")] = 0,
    name: A[str | None, Option(help="Of the run. Default: the space and the time.")] = None,
    resume: A[bool, Option("--resume", help="Go on with the run --name; options not given are as they were.")] = False,
    repeat: A[str | None, Option(metavar="RUN:TRIAL", help="Only train that trial once more, and compare.")] = None,
    storage: A[Path, Option(help="Folder of runs.")] = Path("runs"),
    address: A[str | None, Option(help="Of a running Ray cluster: auto or HOST:PORT. Default: start Ray here.")] = None,
    dashboard: A[bool, Option("--dashboard/--no-dashboard", help="Start Ray's dashboard on 127.0.0.1.")] = True,
) -> None:
    """Search for the best image classifier: Ray Tune schedules Optuna-guided Keras trials, ASHA stops the weak ones."""
    texts = dict(locals())
    with reported():
        from results.summary import print_summary
        from tuner.config import StudyConfig, parsed
        from tuner.resumption import resumed
        from tuner.study import repeat_trial, resume_study, run_study

        options = parsed(texts)
        given = {name: options[name] for name in options if context.get_parameter_source(name).name == "COMMANDLINE"}
        if repeat:
            repeat_trial(repeat, given)
        else:
            raise Exit(print_summary(resume_study(resumed(given)) if resume else run_study(StudyConfig(**options))))


app = Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(main)

if __name__ == "__main__":
    app()
