"""Write a run's report, also while it runs: python scripts/report.py runs/NAME"""

from pathlib import Path
from typing import Annotated as A

from typer import Argument, Option, Typer

from search_spaces.errors import UserError, reported


def main(
    runs: A[list[str], Argument(help="The run directory, which search.py prints; several with --compare.")],
    compare: A[bool, Option("--compare", help="Write one page with the runs side by side.")] = False,
    out: A[Path, Option(help="That page.")] = Path("comparison.html"),
) -> None:
    """Write report.html, report.md and leaderboard.csv of a run, finished or still going; or compare several."""
    with reported():
        from results.comparison import write_comparison
        from results.remote import existing_run
        from results.report import is_missing, write_report
        from results.wording import NO_REPORT, from_here
        from tuner.run_folder import is_held

        paths = [existing_run(run) for run in runs]
        if compare:
            write_comparison(paths, out)
            print(from_here(out.resolve()))
            return
        if len(paths) > 1:
            raise UserError(f"{len(paths)} runs: give one, or --compare them")
        if is_missing(paths[0]) and not is_held(paths[0]):
            print(f"{NO_REPORT}; it is written now:")
        write_report(paths[0])
        for file in (paths[0].report, paths[0].report_text, paths[0].leaderboard):
            print(from_here(file))


app = Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(main)

if __name__ == "__main__":
    app()
