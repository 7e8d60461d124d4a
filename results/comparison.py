"""Two or more runs side by side, on one self-contained HTML page."""

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from results.drawings import Both
from results.figures import LINES, NARROW, progress_of_several, svg
from results.paths import RunPaths
from results.report import Results, environment
from results.whole_file import write_text, writing_to
from results.wording import cost, duration, elapsed, percent
from search_spaces.configuration import shown
from search_spaces.errors import UserError


def write_comparison(runs: Sequence[RunPaths], out: Path) -> None:
    """Write the page.

    Raises:
        UserError: fewer than two runs, more than can be told apart, a record that cannot be read, or no place to write.
    """
    if not 2 <= len(runs) <= len(LINES):
        raise UserError(f"--compare with {len(runs)} runs: give 2 to {len(LINES)}")
    found = [Results.read(paths) for paths in runs]
    names = _names(found)
    drawn = {name: one.trials for name, one in zip(names, found, strict=True)}
    page = environment().get_template("comparison.html").render(
        names=names,
        colours=LINES[: len(names)],
        has_curve=any(trial.epochs for one in found for trial in one.trials),
        progress=Both(
            Markup(svg(progress_of_several(drawn), "progress")),
            Markup(svg(progress_of_several(drawn, NARROW), "narrow progress")),
        ),
        rows=_rows(found),
        configurations=_configurations(found),
        is_same_data=len({one.study.data.fingerprint for one in found}) == 1,
    )  # fmt: skip
    with writing_to(out):
        write_text(out, page)


def _names(found: Sequence[Results]) -> list[str]:
    """The runs' names; where two are called the same, their paths."""
    names = [one.study.name for one in found]
    return names if len(set(names)) == len(names) else [str(one.paths.root) for one in found]


def _rows(found: Sequence[Results]) -> dict[str, list[str]]:
    """What is compared: a title, and a text for each run, empty where there is nothing."""
    rows = {
        "test accuracy": [_test(one) for one in found],
        "finalists: the winner's mean": [_mean(one) for one in found],
        "the search's best validation accuracy": [_best(one) for one in found],
        "trials": [f"{len(one.trials):,}" for one in found],
        "time of the search": [duration(elapsed(one.trials)) for one in found],
        "time of finalists": [duration(elapsed(one.again)) if one.again else "" for one in found],
        "cost": [cost(one.study, [*one.trials, *one.again]) for one in found],
        "parameters of the best": [f"{one.winner.parameters or 0:,}" if one.winner else "" for one in found],
        "space": [str(one.study.options.get("space", "")) for one in found],
        "data": [one.study.data.source for one in found],
        "images": [f"{one.study.data.training_images:,} training, {one.study.data.validation_images:,} validation"
                   for one in found],
        "fingerprint": [one.study.data.fingerprint for one in found],
    }  # fmt: skip
    return {title: texts for title, texts in rows.items() if any(texts)}


def _test(one: Results) -> str:
    if one.test is None:
        return ""
    low, high = one.test.evaluation.interval
    return f"{percent(one.test.evaluation.accuracy)} ({percent(low)} to {percent(high)})"


def _mean(one: Results) -> str:
    number = one.winner.trial if one.winner else None
    for finalist in one.finalists:
        if finalist.trial == number:
            return percent(finalist.mean) + ("" if finalist.spread is None else f" ± {100 * finalist.spread:.2f}")
    return ""


def _best(one: Results) -> str:
    accuracies = [epoch.val_accuracy for trial in one.trials for epoch in trial.epochs]
    return percent(max(accuracies)) if accuracies else ""


def _configurations(found: Sequence[Results]) -> dict[str, list[str]]:
    """Each hyperparameter's value in each run's best configuration; empty where it is not active."""
    best = [one.winner.configuration if one.winner else {} for one in found]
    names = dict.fromkeys(name for configuration in best for name in configuration)
    return {
        name: [shown(configuration[name]) if name in configuration else "" for configuration in best] for name in names
    }
