"""The same 12 configurations, trained to the end by us and by a plain Ray Tune script: wall time against wall time.

    python benchmarks/equal_work.py finetune --weights mobilenet_1_0_notop.weights.h5
    python benchmarks/equal_work.py custom_cnn

2,000 training and 1,000 validation images, 4 epochs each, two trials at a time. The sides run in turn, each in a
process of its own: imports, Ray's start, reading images and, on our side, features and the report are inside the time.
`ours` begins with an empty feature store, `ours, warm store` with that which the run before it has left.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
EPOCHS, TRAINING, VALIDATION = 4, 2000, 1000
THAWED = (0, 2, 4, 6, 6, 8, 12, 14, 20, 26, 32, 38)
COMMON = {
    "finetune": {
        "image_size": 96,
        "dense_layers": 0,
        "batch_size": 64,
        "optimizer": "adam",
        "backbone_lr_ratio": 1.0,
        "freeze_batch_norm": True,
    },
    "custom_cnn": {"dense_layers": 1, "dense_units": 256, "batch_size": 64, "optimizer": "adam"},
}
"""What the configurations have in common, in our words; the peer's script has it written out."""


def configurations(space: str) -> list[dict[str, Any]]:
    """What differs between them."""
    if space == "finetune":
        return [{"unfrozen_layers": layers, "learning_rate": 1e-3 if layers < 10 else 1e-4} for layers in THAWED]
    return [
        {"blocks": blocks, "filters": filters, "dropout": dropout, "learning_rate": 1e-3}
        for blocks in (2, 3)
        for filters in (16, 32)
        for dropout in (0.0, 0.2, 0.4)
    ]


def ours(space: str, images: str, file: str, store: str, weights: str | None) -> None:
    """One run of the product."""
    from results.records import read_trials
    from tuner.config import StudyConfig
    from tuner.study import run_study

    given = json.loads(Path(file).read_text())
    finetune = {"weights": weights, "backbones": ("mobilenet",)} if space == "finetune" else {}
    folder = Path(tempfile.mkdtemp())
    ready = folder / "configurations.json"
    common = COMMON[space]
    plain = [{k: v for k, v in common.items() if one.get("unfrozen_layers", 1) or not k.startswith(("back", "free"))}
             | one for one in given]  # fmt: skip
    ready.write_text(json.dumps(plain))
    config = StudyConfig(
        space=space, data=images, configs=ready, trials=len(given), max_epochs=EPOCHS, scheduler="none",
        storage=folder, name="equal", feature_store=Path(store), dashboard=False, **finetune,
    )  # fmt: skip
    trials = read_trials(run_study(config))
    assert [len(trial.epochs) for trial in trials] == [EPOCHS] * len(given)
    seconds = [[round(epoch.seconds, 2) for epoch in trial.epochs] for trial in trials]
    print(json.dumps({"accuracies": [trial.epochs[-1].val_accuracy for trial in trials], "seconds": seconds,
                      "started": [round(trial.started, 1) for trial in trials]}))  # fmt: skip


def measured(command: list[str]) -> dict[str, Any]:
    """The last line that the command prints, a JSON object, and its wall time."""
    began = time.monotonic()
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tempfile.mkdtemp())
    seconds = time.monotonic() - began
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return {"wall": seconds, **json.loads(done.stdout.splitlines()[-1])}


def main() -> None:
    """Run the sides in turn and print the figures."""
    if sys.argv[1] == "ours":
        ours(*sys.argv[2:6], weights=sys.argv[6] if len(sys.argv) > 6 else None)
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space", choices=list(COMMON))
    parser.add_argument("--weights", help="ImageNet weights of MobileNet, without its top")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", help="one side alone, for profiling")
    options = parser.parse_args()
    from sample import draw

    folder = Path(tempfile.mkdtemp())
    images, arrays = draw(folder, TRAINING, VALIDATION)
    file = folder / "configurations.json"
    file.write_text(json.dumps(configurations(options.space)))
    weights = [str(Path(options.weights).resolve())] if options.weights else []
    peer = [sys.executable, str(ROOT / "benchmarks" / "peers" / "ray_tune.py"), options.space, str(arrays), str(file),
            str(EPOCHS), *weights]  # fmt: skip
    found: dict[str, list[dict[str, Any]]] = {}
    for number in range(options.rounds):
        own = [sys.executable, __file__, "ours", options.space, str(images), str(file), str(folder / f"store{number}")]
        sides = {"plain Ray Tune": peer, "ours": own + weights}
        if options.space == "finetune":
            sides["ours, warm store"] = own + weights
        for side, command in sides.items():
            if options.only in (None, side):
                found.setdefault(side, []).append(measured(command))
                print(json.dumps({"side": side, **found[side][-1]}), flush=True)
    print(f"\n{platform.processor() or platform.machine()}, {os.cpu_count()} processors, {time.strftime('%Y-%m-%d')}")
    base = [one["wall"] for one in found.get("plain Ray Tune", [])]
    for side, rounds in found.items():
        walls = [one["wall"] for one in rounds]
        ratios = [ours / theirs for ours, theirs in zip(base, walls, strict=True)] if base else []
        mean = statistics.mean(accuracy for one in rounds for accuracy in one["accuracies"])
        ratio = f"{statistics.median(ratios):5.2f} times as fast" if ratios else ""
        each = ", ".join(f"{wall:.0f}" for wall in walls)
        print(f"{side:18} {statistics.median(walls):6.0f} s  {ratio}  mean validation accuracy {mean:.3f}  ({each})")


if __name__ == "__main__":
    main()
