"""A real search of 40 trials by our searcher, and one of equal time by OptunaSearch's way to propose.

    python benchmarks/real_search.py --weights mobilenet_1_0_notop.weights.h5

The whole `finetune` space of MobileNet at 64x64, at most 8 epochs, ASHA from the first on, two trials at a time. Both
sides run in our engine, with our features and workers: what differs is what is tried next. The other side's trials are
not counted; its time is that of our 40. Each round has another seed and other images.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
from sample import draw
from side import JPEG, measured, several, write_table

from search_spaces.configuration import Configuration
from tuner.proposal.proposer import Proposer

TRIALS, EPOCHS, TRAINING, VALIDATION = 40, 8, 2000, 1000
TITLE = (
    f"`finetune` on MobileNet at 64x64, at most {EPOCHS} epochs, {TRAINING:,} training and {VALIDATION:,} validation "
    f"images, two trials at a time: {TRIALS} trials by Thaw, and as many as fit into the same time by TPE as Ray's "
    "OptunaSearch asks and tells it."
)


class LikeOptunaSearch(Proposer):
    """Optuna's TPE as it is, told of every trial as COMPLETE with its last accuracy (as OptunaSearch, Ray 2.60)."""

    def __init__(self, space: Any, rungs: Any, seed: int) -> None:
        super().__init__(space, rungs, seed)
        self._study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
        self._asked: dict[int, optuna.Trial] = {}
        self._last: dict[int, float] = {}

    def propose(
        self, trial: int, is_welcome: Callable[[Configuration], bool] = lambda configuration: True
    ) -> Configuration | None:
        self._asked[trial] = self._study.ask()
        return self._suggestions.suggest(self._asked[trial])

    def begin(self, trial: int, configuration: Configuration) -> None:
        if trial not in self._asked:  # the first one is given
            self._study.enqueue_trial(self._suggestions.trial(configuration).params)
            self.propose(trial)

    def report(self, trial: int, epoch: int, accuracy: float) -> None:
        self._last[trial] = accuracy

    def end(self, trial: int, is_done: bool = False, has_failed: bool = False, is_infeasible: bool = False) -> None:
        if trial in self._last:
            self._study.tell(self._asked[trial], self._last[trial])
        else:
            self._study.tell(self._asked[trial], state=optuna.trial.TrialState.FAIL)


def search(side: str, images: str, weights: str, seed: str, budget: str) -> None:
    """One search; prints the best accuracy, trials, and the seconds from the first trial's start to the last's end."""
    import tuner.search
    from tuner.config import StudyConfig
    from tuner.study import run_study

    if side != "Thaw":
        tuner.search.Proposer = LikeOptunaSearch  # type: ignore[attr-defined]
    storage = Path(tempfile.mkdtemp())
    config = StudyConfig(
        space="finetune", data=images, weights=weights, backbones=("mobilenet",), fix={"image_size": 64}, finalists=0,
        trials=10 * TRIALS if float(budget) else TRIALS, time_budget=float(budget) or None, max_epochs=EPOCHS,
        seed=int(seed), storage=storage, name="search", feature_store=storage / "store",
    )  # fmt: skip
    trials = run_study(config).trials()
    best = max(epoch.val_accuracy for trial in trials for epoch in trial.epochs)
    print(
        json.dumps(
            {"best": best, "trials": len(trials), "seconds": max(trial.started + trial.seconds for trial in trials)}
        )
    )


def main() -> None:
    """Run the sides in turn and write the table."""
    if sys.argv[1] == "search":
        search(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True, help="ImageNet weights of MobileNet, without its top")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    weights = str(Path(options.weights).resolve())
    found: dict[str, list[dict[str, Any]]] = {"Thaw": [], "OptunaSearch + ASHA": []}
    for seed in range(options.rounds):
        images, _ = draw(Path(tempfile.mkdtemp()), TRAINING, VALIDATION, seed)
        budget = 0.0
        for side, runs in found.items():
            given = [str(images), weights, str(seed), str(budget)]
            runs.append(measured([sys.executable, __file__, "search", side, *given]))
            budget = runs[-1]["seconds"]
            print(json.dumps({"side": side, **runs[-1]}), flush=True)
        rows = [["side", "best validation accuracy", "trials", "seconds"]]
        for side, runs in found.items():
            columns = [several([run[name] for run in runs], digits) for name, digits in _COLUMNS.items()]
            rows.append([side, *columns])
        write_table("real_search", f"{TITLE} {JPEG}", rows)  # after each round


_COLUMNS = {"best": 3, "trials": 0, "seconds": 0}

if __name__ == "__main__":
    main()
