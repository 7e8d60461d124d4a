"""What the bundled backbone is worth: python benchmarks/transfer.py [--seeds 5]

On 200 of scikit-learn's digits (20 a class), the same network with all layers thawed, from the bundled weights and
from random ones, seed by seed and for several lengths of training: validation accuracy on 270 other digits at the end.
The learning rate and its schedule were chosen on seeds 10 to 12, where they were the best of four for both.
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

IMAGES, CLASSES = 200, 10
LENGTHS = (4, 8, 16)
"""Epochs."""
CONFIGURATION = {
    "image_size": 32,
    "unfrozen_layers": 28,
    "backbone_lr_ratio": 0.3,
    "freeze_batch_norm": False,
    "dense_layers": 0,
    "batch_size": 16,
    "learning_rate": 1e-2,
    "schedule": "one_cycle",
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


def accuracy(weights: str | None, epochs: int, seed: int) -> float:
    """Validation accuracy after the last epoch."""
    data = few(seed)
    space = FineTune(Task(data.image_size, CLASSES, IMAGES, epochs), {"cifar_cnn": weights})
    training = Training(space, complete(declared(space), CONFIGURATION), data, epochs, seed)
    reached = [epoch["val_accuracy"] for epoch in iter(training.run_epoch, None)]
    training.close()
    return reached[-1]


def main() -> None:
    """Print a line a pair and the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    seeds = range(parser.parse_args().seeds)
    for epochs in LENGTHS:
        pairs = [(accuracy(str(BUNDLED), epochs, seed), accuracy(None, epochs, seed)) for seed in seeds]
        for seed, (bundled, random) in zip(seeds, pairs, strict=True):
            print(f"{epochs} epochs, seed {seed}: bundled {bundled:.1%}, random {random:.1%}", flush=True)
        print(f"{epochs} epochs, mean: bundled {mean(a for a, _ in pairs):.1%}, random {mean(b for _, b in pairs):.1%}")


if __name__ == "__main__":
    main()
