"""The same 12 configurations, trained to the end by us and by a plain Ray Tune script: wall time against wall time.

    python benchmarks/equal_work.py finetune --weights mobilenet_1_0_notop.weights.h5
    python benchmarks/equal_work.py custom_cnn

2,000 training and 1,000 validation images, 4 epochs each, two trials at a time. The sides run in turn, each in a
process of its own: imports, Ray's start, reading images and, on our side, features and the report are inside the time.
`Thaw` begins with an empty feature store, `Thaw, warm store` with that which the run before it has left; the limit is
`bare_loop.py`, with that store too.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from sample import draw
from side import JPEG, ROOT, measured, several, write_table

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


TITLES = {
    "finetune": "Equal work, fine-tuning: 12 configurations of MobileNet at 96x96, 4 epochs each, 2,000 training and "
    "1,000 validation images, two trials at a time; whole processes, imports, Ray and our report included.",
    "custom_cnn": "Equal work, from scratch: 12 configurations, 4 epochs each, 2,000 training and 1,000 validation "
    "images of 32x32, two trials at a time; whole processes, imports, Ray and our report included.",
}


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


def complete_configurations(space: str, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The configurations in our words, without what nothing thawed would leave unused."""
    common = COMMON[space]
    return [{k: v for k, v in common.items() if one.get("unfrozen_layers", 1) or not k.startswith(("back", "free"))}
            | one for one in given]  # fmt: skip


def ours(space: str, images: str, file: str, store: str, weights: str | None) -> None:
    """One run of the product."""
    from tuner.config import StudyConfig
    from tuner.study import run_study

    given = json.loads(Path(file).read_text())
    finetune = {"weights": weights, "backbones": ("mobilenet",)} if space == "finetune" else {}
    folder = Path(tempfile.mkdtemp())
    ready = folder / "configurations.json"
    ready.write_text(json.dumps(complete_configurations(space, given)))
    config = StudyConfig(
        space=space, data=images, configs=ready, trials=len(given), max_epochs=EPOCHS, scheduler="none",
        storage=folder, name="equal", feature_store=Path(store), finalists=0, **finetune,
    )  # fmt: skip
    trials = run_study(config).trials()
    assert [len(trial.epochs) for trial in trials] == [EPOCHS] * len(given)
    print(json.dumps({"accuracies": [trial.epochs[-1].val_accuracy for trial in trials]}))


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

    folder = Path(tempfile.mkdtemp())
    images, arrays = draw(folder, TRAINING, VALIDATION)
    file = folder / "configurations.json"
    file.write_text(json.dumps(configurations(options.space)))
    weights = [str(Path(options.weights).resolve())] if options.weights else []
    script = ROOT / "benchmarks" / "peers" / "ray_tune_fixed.py"
    peer = [sys.executable, str(script), options.space, str(arrays), str(file), str(EPOCHS), *weights]
    found: dict[str, list[dict[str, Any]]] = {}
    for number in range(options.rounds):
        store = str(folder / f"store{number}")
        own = [sys.executable, __file__, "ours", options.space, str(images), str(file), store, *weights]
        loop = [sys.executable, str(ROOT / "benchmarks" / "bare_loop.py"), options.space, str(arrays), str(file), store]
        sides = {"plain Ray Tune": peer, "Thaw": own}
        if options.space == "finetune":
            sides["Thaw, warm store"] = own
        for side, command in (sides | {"the limit: a bare loop": loop + weights}).items():
            if options.only in (None, side):
                found.setdefault(side, []).append(measured(command))
                print(json.dumps({"side": side, **found[side][-1]}), flush=True)
    if not options.only:
        write_table(f"equal_work_{options.space}", f"{TITLES[options.space]} {JPEG}", _rows(found))


def _rows(found: dict[str, list[dict[str, Any]]]) -> list[list[str]]:
    """Each side's wall times, and its rounds' ratios to the plain script and to the limit."""
    walls = {side: [one["wall"] for one in rounds] for side, rounds in found.items()}
    base, limit = walls["plain Ray Tune"], walls["the limit: a bare loop"]
    rows = [["side", "seconds", "times as fast as plain", "times the limit", "mean validation accuracy"]]
    for side, rounds in found.items():
        faster = [plain / own for plain, own in zip(base, walls[side], strict=True)]
        over = [own / least for own, least in zip(walls[side], limit, strict=True)]
        accuracies = [accuracy for one in rounds for accuracy in one.get("accuracies", [])]
        mean = f"{statistics.mean(accuracies):.3f}" if accuracies else ""
        rows.append([side, several(walls[side]), several(faster, 2), several(over, 2), mean])
    return rows


if __name__ == "__main__":
    main()
