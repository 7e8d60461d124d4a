"""Search for the best configuration: python scripts/search.py --space finetune"""

import sys
from collections.abc import Mapping
from typing import Annotated as A
from typing import Any

from typer import Exit, Option, Typer

from search_spaces.errors import UserError, reported
from search_spaces.recipes import RECIPES
from tuner.config import StudyConfig
from tuner.options import as_command, parsed


def print_recipes(is_asked: bool) -> None:
    if is_asked:
        print("\n\n".join(map(str, RECIPES.values())))
        raise Exit


@as_command(StudyConfig)
def main(
    texts: Mapping[str, Any],
    resume: A[bool, Option("--resume", help="Go on with the run --name; options not given are as they were.")] = False,
    repeat: A[str | None, Option(metavar="RUN:TRIAL", help="Only train that trial once more, and compare.")] = None,
    list_recipes: A[bool, Option("--list-recipes", callback=print_recipes, is_eager=True, help="Show them.")] = False,
) -> None:
    """Search for the best image classifier: Ray Tune schedules Optuna-guided Keras trials, ASHA stops the weak ones."""
    with reported():
        from tuner.address import SCHEME
        from tuner.ray_client import search_there
        from tuner.resumption import resumed
        from tuner.study import go_on, repeat_trial, run_study

        given = parsed(StudyConfig, texts)
        if repeat and resume:
            raise UserError(f"--repeat {repeat} and --resume: one trains a trial once more, the other goes on with a "
                            "search; give one of the two")  # fmt: skip
        if repeat:
            repeat_trial(repeat, given)
        elif (given.get("address") or "").startswith(SCHEME):
            sys.exit(search_there(given, resume))
        else:
            study = go_on(resumed(given)) if resume else run_study(StudyConfig(**given))
            sys.exit(study.print_summary())


app = Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(main)

if __name__ == "__main__":
    app()
