"""A search as people write it first: Ray Tune, OptunaSearch, ASHA and Keras, as their documentation shows them.

    python benchmarks/peers/ray_tune.py IMAGES.npz WEIGHTS TRIALS SEED

Two trials at a time on two processors.
"""

import json
import sys
from pathlib import Path

from ray import tune
from ray.tune.integration.keras import TuneReportCheckpointCallback
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

EPOCHS, LAYERS = 4, 86


def train(config, images, weights):
    from benchmarks.peers import models

    training, validation = models.images(images)
    model = models.finetuned(weights, **config)
    model.fit(
        *training,
        batch_size=models.BATCH,
        epochs=EPOCHS,
        validation_data=validation,
        verbose=0,
        callbacks=[TuneReportCheckpointCallback(metrics=["val_accuracy"], checkpoint_on=[])],
    )


def main():
    images, weights, trials, seed = sys.argv[1:]
    trainable = tune.with_parameters(train, images=str(Path(images).resolve()), weights=weights)
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space={
            "unfrozen_layers": tune.randint(0, LAYERS + 1),
            "learning_rate": tune.loguniform(1e-4, 3e-2),
            "dropout": tune.quniform(0.0, 0.6, 0.05),
        },
        tune_config=tune.TuneConfig(
            search_alg=OptunaSearch(seed=int(seed)),
            scheduler=ASHAScheduler(max_t=EPOCHS, grace_period=1, reduction_factor=4),
            num_samples=int(trials),
            metric="val_accuracy",
            mode="max",
        ),
        run_config=tune.RunConfig(verbose=0),
    )
    results = tuner.fit()
    curve = [
        (float(row.timestamp), row.val_accuracy) for result in results for row in result.metrics_dataframe.itertuples()
    ]
    print(json.dumps({"curve": curve}))


if __name__ == "__main__":
    main()
