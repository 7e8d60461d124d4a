"""Write a run's report page and leaderboard, also while it runs: python scripts/report.py runs/NAME"""

from pathlib import Path
from typing import Annotated as A

from typer import Argument, Typer

from search_spaces.errors import reported


def main(run: A[Path, Argument(help="The run directory, which search.py prints.")]) -> None:
    """Write report.html and leaderboard.csv of a run, finished or still going."""
    with reported():
        from results.paths import RunPaths
        from results.report import write_report
        from results.wording import from_here

        paths = RunPaths.existing(run)
        write_report(paths)
        print(from_here(paths.report))
        print(from_here(paths.leaderboard))


app = Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(main)

if __name__ == "__main__":
    app()
