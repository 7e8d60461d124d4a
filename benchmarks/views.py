"""What it costs in accuracy to train on a few stored views of each image instead of augmenting anew in each epoch.

    python benchmarks/views.py --weights mobilenet_1_0_notop.weights.h5

A frozen MobileNet at 64x64 and a new head of one hidden layer, 1,000 training and 1,000 validation images, 16 epochs,
augmentation "standard". Every number of views trains on the same images from the same weights; the seeds draw weights,
batches and views.
"""

import argparse
import json
import multiprocessing
import statistics
import tempfile
from pathlib import Path
from typing import Any

from sample import draw, image_data
from side import JPEG, write_table

VIEWS, SEEDS, EPOCHS, TRAINING, VALIDATION = (1, 2, 4, 8, 0), 6, 16, 1000, 1000
VALUES = {"unfrozen_layers": 0, "image_size": 64, "dense_layers": 1, "dense_units": 128, "batch_size": 64,
          "learning_rate": 1e-3, "augmentation": "standard", "augmentation_strength": 0.1}  # fmt: skip
TITLE = (
    f"Augmented views kept: a frozen MobileNet at 64x64, {TRAINING:,} training and {VALIDATION:,} validation images, "
    f"{EPOCHS} epochs, {SEEDS} seeds; mean over seeds of the last epoch, with the standard error of the mean."
)


def train(arguments: tuple[int, str, str]) -> dict[str, list[float]]:
    """All numbers of views for one seed, in a process of one thread."""
    from tuner.trial.resources import TrialResources, prepare_process

    prepare_process(TrialResources(1, 0, 2))
    from search_spaces.configuration import complete
    from search_spaces.declaration import declared
    from search_spaces.finetune import FineTune
    from search_spaces.task import Task
    from tuner.trial.feature_store import FeatureStore
    from tuner.trial.features import Features
    from tuner.trial.training import Training

    seed, arrays, weights = arguments
    data = image_data(arrays)
    space = FineTune(Task(32, 10, TRAINING, EPOCHS), {"mobilenet": weights})
    results = {}
    for views in VIEWS:
        configuration = complete(declared(space), VALUES)
        features = Features(FeatureStore(Path(tempfile.mkdtemp()), 20e9), seed)
        training = Training(space, configuration, data, EPOCHS, seed, "float32", features, views)
        epochs = [training.run_epoch() for _ in range(EPOCHS)]
        training.close()
        last = epochs[-1]
        assert last is not None
        results[str(views)] = [last[name] for name in ("accuracy", "val_accuracy", "val_loss")]
        results[str(views)].append(sum(epoch["seconds"] for epoch in epochs if epoch))
    print(json.dumps({"seed": seed, **results}), flush=True)
    return results


def main() -> None:
    """Two seeds at a time; write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True, help="ImageNet weights of MobileNet, without its top")
    weights = str(Path(parser.parse_args().weights).resolve())
    _, arrays = draw(Path(tempfile.mkdtemp()), TRAINING, VALIDATION)
    with multiprocessing.get_context("spawn").Pool(2, maxtasksperchild=1) as pool:
        runs = pool.map(train, [(seed, str(arrays), weights) for seed in range(SEEDS)], chunksize=1)
    rows = [["views", "training accuracy", "validation accuracy", "difference to anew", "validation loss", "seconds"]]
    for views in map(str, VIEWS):
        columns = list(zip(*(run[views] for run in runs), strict=True))
        paired = [run[views][1] - run["0"][1] for run in runs]
        name, difference = (views, _mean(paired)) if views != "0" else ("anew in each epoch", "")
        seconds = f"{statistics.mean(columns[3]):.0f}"
        rows.append([name, *map(_mean, columns[:2]), difference, _mean(columns[2]), seconds])
    write_table("views", f"{TITLE} {JPEG}", rows)


def _mean(values: Any) -> str:
    return f"{statistics.mean(values):.4f} ± {statistics.stdev(values) / len(values) ** 0.5:.4f}"


if __name__ == "__main__":
    main()
