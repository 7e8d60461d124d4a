"""A search of 60 trials: how long until the plain script's final best validation accuracy is reached.

    python benchmarks/time_to_best.py --weights mobilenet_1_0_notop.weights.h5

MobileNet at 96x96 on 2,000 training and 1,000 validation images; what may vary are the thawed layers, the learning rate
and the dropout of the head; a trial trains for 4 epochs at the most, and ASHA looks after the first. The sides run in
turn, each in a process of its own, with another seed each round; our feature store is empty at the start. A round takes
most of an hour; with `--file` it may be broken off after any.
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
PLAIN = "plain Ray Tune"
PEERS = {
    PLAIN: ["ray_tune.py"],
    "KerasTuner, Hyperband": ["keras_tuner_search.py", "hyperband"],
    "KerasTuner, BayesianOptimization": ["keras_tuner_search.py", "bayesian"],
    "Optuna, HyperbandPruner, two processes": ["optuna_hyperband.py"],
}

Round = dict[str, dict[str, Any]]
"""What each side came to."""


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
        feature_store=storage / "store", finalists=0,
    )  # fmt: skip
    paths = run_study(config).paths
    start = paths.study.stat().st_mtime  # written when the study's clock starts
    curve = [(start + epoch.ended, epoch.val_accuracy) for trial in read_trials(paths) for epoch in trial.epochs]
    print(json.dumps({"curve": curve}))


def main() -> None:
    """Run the sides in turn and write the table."""
    if sys.argv[1] == "ours":
        ours(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True, help="ImageNet weights of MobileNet, without its top")
    parser.add_argument("--rounds", type=int, default=3, help="in all, with those in --file")
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--peers", type=int, default=1, help="last rounds, in which all peers run, not Ray Tune alone")
    parser.add_argument("--file", type=Path, help="where finished rounds are kept, to go on with them")
    options = parser.parse_args()
    rounds: list[Round] = json.loads(options.file.read_text()) if options.file and options.file.is_file() else []
    images, arrays = draw(Path(tempfile.mkdtemp()), TRAINING, VALIDATION)
    weights = str(Path(options.weights).resolve())
    for seed in range(len(rounds), options.rounds):
        given = [weights, str(options.trials), str(seed)]
        sides = {"Thaw": [__file__, "ours", str(images), *given]}
        for peer, (script, *kind) in PEERS.items():
            if peer == PLAIN or seed >= options.rounds - options.peers:
                sides[peer] = [str(ROOT / "benchmarks" / "peers" / script), *kind, str(arrays), *given]
        rounds.append(_round(sides))
        if options.file:
            options.file.write_text(json.dumps(rounds, indent=1) + "\n")
        write_table("time_to_best", f"{TITLE} {JPEG}", _rows(rounds))


def _round(sides: dict[str, list[str]]) -> Round:
    """Each side in turn: its wall time, how much it trained, its best, and the seconds until plain's best (or None)."""
    runs = {}
    for side, command in sides.items():
        runs[side] = run = measured([sys.executable, *command])
        print(json.dumps({"side": side, "wall": run["wall"], "best": _best(run)}), flush=True)
    goal = _best(runs[PLAIN])
    found = {}
    for side, run in runs.items():
        until = [stamp - run["began"] for stamp, value in run["curve"] if value >= goal]
        found[side] = {
            "wall": run["wall"], "epochs": len(run["curve"]), "best": _best(run), "until": min(until, default=None),
        }  # fmt: skip
    return found


def _best(run: dict[str, Any]) -> float:
    return max(value for _, value in run["curve"])


def _rows(rounds: list[Round]) -> list[list[str]]:
    rows = [["side", "whole run, s", "epochs trained", "best", "until plain's best, s", "share of plain's"]]
    for side in ("Thaw", *PEERS):
        mine = [found for found in rounds if side in found]
        if mine:
            runs = [found[side] for found in mine]
            shares = [found[side]["until"] and found[side]["until"] / found[PLAIN]["until"] for found in mine]
            rows.append(
                [
                    side,
                    several([run["wall"] for run in runs]),
                    several([run["epochs"] for run in runs]),
                    several([run["best"] for run in runs], 3),
                    ", ".join(f"{run['until']:.0f}" if run["until"] else "never" for run in runs),
                    ", ".join(f"1/{1 / share:.1f}" if share else "never" for share in shares),
                ]
            )
    return rows


if __name__ == "__main__":
    main()
