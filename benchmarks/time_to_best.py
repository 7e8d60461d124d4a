"""A search of 60 trials: how long until the plain script's final best validation accuracy is reached.

    python benchmarks/time_to_best.py --weights mobilenet_1_0_notop.weights.h5

MobileNet at 96x96 on 2,000 training and 1,000 validation images; what may vary are the thawed layers, the learning rate
and the dropout of the head; a trial trains for 4 epochs at the most, and ASHA looks after the first. The sides run in
turn, each in a process of its own, with another seed each round; our feature store is empty at the start.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from equal_work import COMMON, TRAINING, VALIDATION
from sample import draw
from side import JPEG, ROOT, measured, several, write_table

EPOCHS = 4
TITLE = (
    "Search of 60 trials (MobileNet at 96x96; thawed layers, learning rate, dropout), at most 4 epochs each, ASHA from "
    "the first on, 2,000 training and 1,000 validation images, two trials at a time (KerasTuner: one); seconds since "
    "the process began until the final best of plain Ray Tune's run of that round was reached, 'never' if it was not."
)
PEERS = {
    "plain Ray Tune": ["ray_tune.py"],
    "KerasTuner, Hyperband": ["keras_tuner_search.py", "hyperband"],
    "KerasTuner, BayesianOptimization": ["keras_tuner_search.py", "bayesian"],
    "Optuna, HyperbandPruner, two processes": ["optuna_hyperband.py"],
}


def ours(images: str, weights: str, trials: str, seed: str) -> None:
    """One search by the product."""
    from results.records import read_trials
    from tuner.config import StudyConfig
    from tuner.study import run_study

    fix = {name: value for name, value in COMMON["finetune"].items() if name != "image_size"}
    fixed = {"schedule": "constant", "weight_decay": 0.0, "clip_norm": 0.0, "label_smoothing": 0.0, "head": "dense",
             "early_stopping": 0, "augmentation": "none", "mix": "none", "input_scaling": "own", "warmup_epochs": 0,
             "gradual_thaw": False}  # fmt: skip
    storage = Path(tempfile.mkdtemp())
    config = StudyConfig(
        space="finetune", data=images, weights=weights, backbones=("mobilenet",), fix=fix | fixed | {"image_size": 96},
        trials=int(trials), max_epochs=EPOCHS, reduction_factor=4, seed=int(seed), storage=storage, name="search",
        feature_store=storage / "store",
    )  # fmt: skip
    paths = run_study(config)
    start = paths.study.stat().st_mtime  # written when the study's clock starts
    curve = [(start + epoch.ended, epoch.val_accuracy) for trial in read_trials(paths) for epoch in trial.epochs]
    print(json.dumps({"curve": curve}))


def reached(run: dict[str, Any], accuracy: float) -> float | None:
    """Seconds until that accuracy was first reported."""
    times = [stamp - run["began"] for stamp, value in run["curve"] if value >= accuracy]
    return min(times) if times else None


def main() -> None:
    """Run the sides in turn and write the table."""
    if sys.argv[1] == "ours":
        ours(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True, help="ImageNet weights of MobileNet, without its top")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--peers", type=int, default=1, help="last rounds, in which all peers run, not Ray Tune alone")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    images, arrays = draw(folder, TRAINING, VALIDATION)
    weights = str(Path(options.weights).resolve())
    found: dict[str, list[dict[str, Any]]] = {}
    for seed in range(options.rounds):
        given = [weights, str(options.trials), str(seed)]
        sides = {"Thaw": [__file__, "ours", str(images), *given]}
        for peer, (script, *kind) in PEERS.items():
            if peer == "plain Ray Tune" or seed >= options.rounds - options.peers:
                sides[peer] = [str(ROOT / "benchmarks" / "peers" / script), *kind, str(arrays), *given]
        for side, command in sides.items():
            run = measured([sys.executable, *command])
            found.setdefault(side, []).append(run)
            best = max(value for _, value in run["curve"])
            print(
                json.dumps({"side": side, "wall": run["wall"], "best": best, "epochs": len(run["curve"])}), flush=True
            )
        write_table("time_to_best", f"{TITLE} {JPEG}", _rows(found))  # each round: all of them take more than an hour


def _rows(found: dict[str, list[dict[str, Any]]]) -> list[list[str]]:
    rows = [["side", "whole run, s", "epochs trained", "best", "until plain's best, s", "share of plain's"]]
    for side, runs in found.items():
        plain = found["plain Ray Tune"][-len(runs) :]  # of the same rounds
        goals = [max(value for _, value in run["curve"]) for run in plain]
        times = [reached(run, goal) for run, goal in zip(runs, goals, strict=True)]
        theirs = [reached(run, goal) or 0.0 for run, goal in zip(plain, goals, strict=True)]
        shares = [time / their if time else None for time, their in zip(times, theirs, strict=True)]
        rows.append(
            [
                side,
                several([run["wall"] for run in runs]),
                several([len(run["curve"]) for run in runs]),
                several([max(value for _, value in run["curve"]) for run in runs], 3),
                ", ".join(f"{time:.0f}" if time else "never" for time in times),
                ", ".join(f"1/{1 / share:.1f}" if share else "never" for share in shares),
            ]
        )
    return rows


if __name__ == "__main__":
    main()
