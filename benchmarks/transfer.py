"""What the bundled backbone is worth: python benchmarks/transfer.py [--seeds 5]

On 200 of scikit-learn's digits (20 a class), the same network with all layers thawed, from the bundled weights and from
random ones, seed by seed: validation accuracy on 270 other digits at the last epoch.
"""

import argparse
import dataclasses
from statistics import mean

import numpy as np

from search_spaces.cifar_cnn import BUNDLED
from search_spaces.configuration import complete
from search_spaces.declaration import declared
from search_spaces.finetune import FineTune
from search_spaces.task import Task
from tuner.datasets import ImageData, load
from tuner.training import Training

EPOCHS, IMAGES, CLASSES = 12, 200, 10
CONFIGURATIONS = {
    "head alone": {"unfrozen_layers": 0},
    "last block thawed": {"unfrozen_layers": 9, "backbone_lr_ratio": 0.3, "warmup_epochs": 2},
    "all thawed": {"unfrozen_layers": 28, "backbone_lr_ratio": 0.3, "warmup_epochs": 2},
}


def few(seed: int) -> ImageData:
    """20 training digits a class, drawn by the seed."""
    digits = load("digits", None, 0)
    order = np.random.default_rng(seed).permutation(len(digits.train_labels))
    chosen = [order[digits.train_labels[order] == label][: IMAGES // CLASSES] for label in range(CLASSES)]
    positions = np.concatenate(chosen)
    return dataclasses.replace(
        digits, train_images=digits.train_images[positions], train_labels=digits.train_labels[positions]
    )


def accuracy(configuration: dict[str, float], weights: str | None, seed: int) -> float:
    """Validation accuracy after the last epoch."""
    data = few(seed)
    space = FineTune(Task(data.image_size, CLASSES, IMAGES, EPOCHS), {"cifar_cnn": weights})
    common = {"image_size": 32, "dense_layers": 0, "batch_size": 16, "learning_rate": 3e-3, "freeze_batch_norm": False}
    if not configuration["unfrozen_layers"]:
        del common["freeze_batch_norm"]
    training = Training(space, complete(declared(space), common | configuration), data, EPOCHS, seed)
    for _ in range(EPOCHS):
        epoch = training.run_epoch()
    training.close()
    assert epoch is not None
    return epoch["val_accuracy"]


def main() -> None:
    """Print a line a pair and the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    seeds = range(parser.parse_args().seeds)
    for name, configuration in CONFIGURATIONS.items():
        pairs = [(accuracy(configuration, str(BUNDLED), seed), accuracy(configuration, None, seed)) for seed in seeds]
        for seed, (bundled, random) in zip(seeds, pairs, strict=True):
            print(f"{name}, seed {seed}: bundled {bundled:.1%}, random {random:.1%}", flush=True)
        print(f"{name}, mean: bundled {mean(a for a, _ in pairs):.1%}, random {mean(b for _, b in pairs):.1%}")


if __name__ == "__main__":
    main()
