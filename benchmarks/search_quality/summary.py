"""The table and the figure of simulated studies: python -m benchmarks.search_quality.summary results.jsonl ...

Regret is that of LCBench's tasks, accuracy that of NAS-Bench-301. The standard error is that of the mean over seeds, of
which each is a mean over the tasks.
"""

import argparse
import gzip
import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

NB301 = "nb301"
RANDOM = "random + ASHA"
OURS = "Thaw"
TABLES = Path(__file__).parents[1] / "tables"

Study = dict[str, Any]


def reached(study: Study, clock: float, column: int = 1) -> float:
    """The regret (1) or accuracy (2) by then; 1 and 0 before the first epoch has ended."""
    found = [step[column] for step in study["improvements"] if step[0] <= clock + 1e-9]
    return float(found[-1]) if found else 2.0 - column


class Results:
    """The studies of one method, in one setting; a task that lacks seeds is left out."""

    def __init__(self, studies: Sequence[Study]) -> None:
        self.tasks: dict[str, list[Study]] = {}
        studies = list({(study["task"], study["seed"]): study for study in studies}.values())  # one that ran twice
        for study in sorted(studies, key=lambda study: (study["task"] == NB301, study["task"], study["seed"])):
            self.tasks.setdefault(study["task"], []).append(study)
        seeds = max(map(len, self.tasks.values()))
        self.tasks = {task: found for task, found in self.tasks.items() if len(found) == seeds}

    def regrets(self, clock: float) -> np.ndarray:
        """(LCBench's tasks, seeds)."""
        return np.array([[reached(one, clock) for one in self.tasks[task]] for task in self.lcbench()])

    def accuracies(self, clock: float) -> np.ndarray:
        """(seeds,) of NAS-Bench-301."""
        return np.array([reached(one, clock, 2) for one in self.tasks.get(NB301, ())])

    def lcbench(self) -> list[str]:
        """Its tasks there."""
        return [task for task in self.tasks if task != NB301]

    def crosses(self, regret: float, budget: float) -> float | None:
        """When the mean over LCBench falls to that regret."""
        return next((float(clock) for clock in _clocks(budget) if self.regrets(clock).mean() <= regret), None)


def _clocks(budget: float) -> np.ndarray:
    return np.linspace(budget / 250, budget, 250)


def mean(values: np.ndarray, digits: int) -> str:
    """`0.123 ± 0.004`; the last axis is that of seeds."""
    if not values.size:
        return ""
    seeds = values.reshape(-1, values.shape[-1]).mean(axis=0)
    error = statistics.stdev(seeds) / math.sqrt(len(seeds)) if len(seeds) > 1 else math.nan
    return f"{seeds.mean():.{digits}f} ± {error:.{digits}f}"


def behind(methods: dict[str, Results], name: str, budget: float) -> tuple[float, str]:
    """The most that a method's mean regret on one task lies above that of the best other method, and the task."""
    found = []
    for task in methods[name].lcbench():
        means = {
            other: np.mean([reached(one, budget) for one in results.tasks[task]])
            for other, results in methods.items()
            if task in results.tasks
        }
        best = min((value for other, value in means.items() if other != name), default=math.nan)
        found.append((float(means[name] - best), task))
    return max(found, default=(math.nan, ""))


def table(methods: dict[str, Results], budget: float, early: float) -> str:
    """A row a method."""
    lines = [
        f"| method | tasks, seeds | LCBench regret, {early:g} | {budget:g} | worst behind the best other (task) "
        f"| time to `{RANDOM}`'s end | NB301 accuracy, {early:g} | {budget:g} |",
        "|---|---|---|---|---|---|---|---|",
    ]
    final = methods[RANDOM].regrets(budget).mean() if RANDOM in methods else math.nan
    for name, results in methods.items():
        worst, task = behind(methods, name, budget)
        is_whole = len(results.lcbench()) == len(methods.get(RANDOM, results).lcbench())
        crossing = results.crosses(final, budget) if is_whole else None
        seeds = max(len(studies) for studies in results.tasks.values())
        cells = [
            name,
            f"{len(results.lcbench())}, {seeds}",
            mean(results.regrets(early), 3),
            mean(results.regrets(budget), 3),
            f"{worst:+.3f} ({task})",
            "" if not is_whole else "never" if crossing is None else f"{crossing:.1f}",
            mean(results.accuracies(early), 2),
            mean(results.accuracies(budget), 2),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _text(file: Path) -> str:
    return gzip.decompress(file.read_bytes()).decode() if file.suffix == ".gz" else file.read_text()


def figure(methods: dict[str, Results], budget: float, path: Path) -> None:
    """Mean regret and accuracy over time, with a standard error of seeds on each side."""
    drawing, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), constrained_layout=True)
    clocks = _clocks(budget)
    whole = max(len(results.lcbench()) for results in methods.values())
    for number, (name, results) in enumerate(methods.items()):
        style: Any = {"color": f"C{number}", "linewidth": 2.4 if name == OURS else 1.2}
        for axes, curves, is_there in (
            (left, [results.regrets(clock).mean(axis=0) for clock in clocks], len(results.lcbench()) == whole),
            (right, [results.accuracies(clock) for clock in clocks], NB301 in results.tasks),
        ):
            if is_there:
                values = np.array(curves)
                middle, error = values.mean(axis=1), values.std(axis=1, ddof=1) / math.sqrt(values.shape[1])
                axes.plot(clocks, middle, label=name, **style)
                axes.fill_between(clocks, middle - error, middle + error, color=style["color"], alpha=0.15, linewidth=0)
    left.set(title="LCBench", xlabel="time, in full trainings", ylabel="normalised regret", ylim=(None, 0.6))
    right.set(title="NAS-Bench-301", xlabel="time, in full trainings", ylabel="accuracy, %", ylim=(94.8, 96.4))
    left.legend(fontsize=8)
    drawing.savefig(path, dpi=110)


def main() -> None:
    """Read, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", type=Path)
    parser.add_argument("--budget", type=float, default=25)
    parser.add_argument("--early", type=float, default=6)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--grace", type=int, help="of the studies to show; by default those at each task's own")
    parser.add_argument("--like", help="only the tasks that this method has")
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    studies = [json.loads(line) for file in options.results for line in _text(file).splitlines()]
    studies = [one for one in studies if (one["workers"], one["grace"]) == (options.workers, options.grace)]
    if options.like:
        wanted = {(one["task"], one["seed"]) for one in studies if one["method"] == options.like}
        studies = [one for one in studies if (one["task"], one["seed"]) in wanted]
    names = dict.fromkeys(one["method"] for one in studies)
    methods = {name: Results([one for one in studies if one["method"] == name]) for name in names}
    print(table(methods, options.budget, options.early))
    if options.figure:
        figure(methods, options.budget, options.figure)


if __name__ == "__main__":
    main()
