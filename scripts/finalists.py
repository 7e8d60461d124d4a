"""Train a run's best configurations again and open its test split: python scripts/finalists.py runs/NAME"""

import sys
from typing import Annotated as A

from typer import Argument, Option, Typer

from search_spaces.errors import reported


def main(
    run: A[str, Argument(help="The run directory, which search.py prints.")],
    finalists: A[
        int | None, Option(min=1, help="Most configurations to train again. Default: as searched, or 3.")
    ] = None,
    finalist_seeds: A[int | None, Option(min=1, help="New seeds for each. Default: as searched.")] = None,
    retrain: A[
        bool | None,
        Option(
            "--retrain/--no-retrain", help="Then train the winner on the validation images too. Default: as searched."
        ),
    ] = None,
    space: A[str | None, Option(help="Name it again where it is code: you trust it.")] = None,
    time_budget: A[
        str | None, Option(metavar="DURATION", help="End the trainings after this long: 90s, 30m. Default: no limit.")
    ] = None,
    open_test_again: A[bool, Option("--open-test-again", help="Though it has been opened; it is recorded.")] = False,
) -> None:
    """Train a run's best configurations on new seeds, as far as that is not done; then open the test split."""
    with reported():
        from tuner.options import seconds
        from tuner.study import run_finalists

        budget = None if time_budget is None else seconds("--time-budget", time_budget)
        study = run_finalists(run, finalists, finalist_seeds, retrain, open_test_again, space, budget)
        sys.exit(study.print_summary())


app = Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(main)

if __name__ == "__main__":
    app()
