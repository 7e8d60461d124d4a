"""What the bundled backbone is worth: python benchmarks/transfer.py [--seeds 5]

On 200 of scikit-learn's digits (20 a class): `cifar_cnn` from the bundled weights with its last block thawed, and the
same network from random weights with all layers training (frozen random ones would be a poor rival) at two learning
rates, seed by seed and for several lengths of training: validation accuracy on 270 other digits at the end. What thaws,
and the rate for the bundled weights, were chosen on seeds 10 to 13.
"""

import argparse
import dataclasses
from statistics import mean

import keras
import numpy as np

from search_spaces.cifar_cnn import BUNDLED
from search_spaces.configuration import Configuration, complete
from search_spaces.declaration import declared
from search_spaces.finetune import FineTune
from search_spaces.task import Task
from tuner.trial.datasets import ImageData, load
from tuner.trial.training import Training

IMAGES, CLASSES = 200, 10
LENGTHS = (4, 8, 16)
"""Epochs."""
COMMON: Configuration = {
    "image_size": 32,
    "backbone_lr_ratio": 1.0,
    "freeze_batch_norm": False,
    "dense_layers": 0,
    "batch_size": 16,
    "schedule": "one_cycle",
}
ARMS: dict[str, tuple[str | None, Configuration]] = {
    "bundled, last block thawed": (str(BUNDLED), {"unfrozen_layers": 9, "learning_rate": 1e-2}),
    "random, rate 0.003": (None, {"unfrozen_layers": 28, "learning_rate": 3e-3}),
    "random, rate 0.01": (None, {"unfrozen_layers": 28, "learning_rate": 1e-2}),
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


def accuracy(weights: str | None, configuration: Configuration, epochs: int, seed: int) -> float:
    """Validation accuracy after the last epoch."""
    data = few(seed)
    space = FineTune(Task(data.image_size, CLASSES, IMAGES, epochs), {"cifar_cnn": weights})
    training = Training(space, complete(declared(space), COMMON | configuration), data, epochs, seed)
    reached = [epoch["val_accuracy"] for epoch in iter(training.run_epoch, None)]
    training.close()
    keras.utils.clear_session()
    return reached[-1]


def main() -> None:
    """Print a line an arm and length: each seed's accuracy, and their mean."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    seeds = range(parser.parse_args().seeds)
    for epochs in LENGTHS:
        for arm, (weights, configuration) in ARMS.items():
            reached = [accuracy(weights, configuration, epochs, seed) for seed in seeds]
            each = " ".join(f"{100 * value:.1f}" for value in reached)
            print(f"{epochs:2} epochs, {arm:27} mean {100 * mean(reached):.1f} %   ({each})", flush=True)


if __name__ == "__main__":
    main()
