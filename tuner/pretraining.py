"""Train a CNN from scratch and keep its trunk: the backbone `cifar_cnn` that comes with the package."""

import datetime
import importlib.metadata
import os
import time
from pathlib import Path
from typing import Any, TextIO

from search_spaces.cifar_cnn import TRUNK, write
from search_spaces.configuration import complete
from search_spaces.custom_cnn import CustomCNN
from search_spaces.declaration import declared
from search_spaces.errors import UserError
from search_spaces.hyperparameter import Value
from search_spaces.task import Task
from tuner.trial.datasets import load
from tuner.trial.precision import dtype_policy
from tuner.trial.resources import TrialResources, prepare_process
from tuner.trial.training import Training

CONFIGURATION: dict[str, Value] = TRUNK | {
    "pooling": "average",
    "dense_layers": 0,
    "augmentation": "light",
    "optimizer": "adamw",
    "learning_rate": 4e-3,
    "schedule": "one_cycle",
    "weight_decay": 1e-2,
    "label_smoothing": 0.1,
    "batch_size": 128,
}
PRECISIONS = ("float32", "bfloat16")


def pretrain(data: str, epochs: int, seed: int, precision: str, out: Path, terminal: TextIO) -> dict[str, Any]:
    """Train on the training images of `data`, write the trunk of the last epoch to `out`, return its provenance.

    Each epoch is told on `terminal`.

    Raises:
        UserError: the data cannot be used, or an option is out of its range.
    """
    if out.suffix != ".npz":
        raise UserError(f"--out {out}: must end in .npz")
    if not os.access(out.parent, os.W_OK):
        raise UserError(f"--out {out}: {out.parent} is not a folder that can be written to; make it, or give another")
    if precision not in PRECISIONS:
        raise UserError(f"--precision {precision}: must be one of {', '.join(PRECISIONS)}")
    images = load(data, None, seed)
    print(images.summary(), file=terminal, flush=True)
    prepare_process(TrialResources(cpus=os.cpu_count() or 1, gpus=0, concurrency=1))
    space = CustomCNN(Task(images.image_size, len(images.class_names), len(images.train_labels), epochs))
    configuration = complete(declared(space), CONFIGURATION)
    began = time.monotonic()
    training = Training(space, configuration, images, epochs, seed, dtype_policy(precision))
    while epoch := training.run_epoch():
        accuracy = epoch["val_accuracy"]
        print(f"epoch {epoch['epoch']} of {epochs}: validation accuracy {accuracy:.1%}", file=terminal, flush=True)
    provenance = {
        "data": Path(data).name,
        "images": {"training": len(images.train_labels), "validation": len(images.validation_labels)},
        "data_fingerprint": images.fingerprint(),
        "validation_accuracy": accuracy,
        "epochs": epochs,
        "seed": seed,
        "precision": precision,
        "minutes": round((time.monotonic() - began) / 60, 1),
        "trained": datetime.date.today().isoformat(),
        "versions": {name: importlib.metadata.version(name) for name in ("thaw-tuner", "keras", "tensorflow")},
        "configuration": configuration,
    }
    write(out, training.model, provenance)
    training.close()
    return provenance
