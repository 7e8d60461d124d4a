"""The script that people write first: Ray Tune and Keras, as their documentation shows them, for given configurations.

    python benchmarks/peers/ray_tune_fixed.py finetune IMAGES.npz CONFIGURATIONS.json EPOCHS [WEIGHTS]

Trains each of them to the end, two trials at a time on two processors.
"""

import json
import sys
from pathlib import Path

from ray import tune
from ray.tune.integration.keras import TuneReportCheckpointCallback
from ray.tune.search.optuna import OptunaSearch


def train(config, space, images, epochs, weights):
    from benchmarks.peers import models

    training, validation = models.images(images)
    model = models.finetuned(weights, **config) if space == "finetune" else models.cnn(**config)
    model.fit(
        *training,
        batch_size=models.BATCH,
        epochs=epochs,
        validation_data=validation,
        verbose=0,
        callbacks=[TuneReportCheckpointCallback(metrics=["val_accuracy"], checkpoint_on=[])],
    )


def main():
    space, images, configurations, epochs, *weights = sys.argv[1:]
    trainable = tune.with_parameters(
        train,
        space=space,
        images=str(Path(images).resolve()),
        epochs=int(epochs),
        weights=weights[0] if weights else None,
    )
    configurations = json.loads(Path(configurations).read_text())
    # The values are given; the space only has to hold them.
    param_space = {
        name: tune.uniform(0, 1) if isinstance(value, float) else tune.randint(0, 1000)
        for name, value in configurations[0].items()
    }
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space=param_space,
        tune_config=tune.TuneConfig(
            search_alg=OptunaSearch(points_to_evaluate=configurations),
            num_samples=len(configurations),
            metric="val_accuracy",
            mode="max",
        ),
        run_config=tune.RunConfig(verbose=0),
    )
    results = tuner.fit()
    print(json.dumps({"accuracies": [result.metrics["val_accuracy"] for result in results]}))


if __name__ == "__main__":
    main()
