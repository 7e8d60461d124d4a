"""A search as KerasTuner's documentation shows it: Hyperband, or BayesianOptimization; one trial at a time.

python benchmarks/peers/keras_tuner_search.py hyperband|bayesian IMAGES.npz WEIGHTS TRIALS SEED
"""

import json
import sys
import tempfile
import time

import keras
import keras_tuner

from benchmarks.peers import models

curve = []


class Times(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        curve.append((time.time(), logs["val_accuracy"]))


def main():
    kind, images, weights, trials, seed = sys.argv[1:]
    training, validation = models.images(images)

    def build(hp):
        return models.finetuned(
            weights,
            hp.Int("unfrozen_layers", 0, models.LAYERS),
            hp.Float("learning_rate", 1e-4, 3e-2, sampling="log"),
            hp.Float("dropout", 0.0, 0.6, step=0.05),
        )

    common = {"objective": "val_accuracy", "seed": int(seed), "directory": tempfile.mkdtemp()}
    if kind == "hyperband":
        # Its number of trials follows from its brackets; repeated until there are about as many as were asked for.
        tuner = keras_tuner.Hyperband(
            build, max_epochs=models.EPOCHS, factor=4, hyperband_iterations=max(1, round(int(trials) / 6)), **common
        )
    else:
        tuner = keras_tuner.BayesianOptimization(build, max_trials=int(trials), **common)
    tuner.search(
        *training,
        batch_size=models.BATCH,
        epochs=models.EPOCHS,
        validation_data=validation,
        verbose=0,
        callbacks=[Times()],
    )
    print(json.dumps({"curve": curve}))


if __name__ == "__main__":
    main()
