"""The script that people write first: Ray Tune, OptunaSearch, ASHA and Keras, as their documentation shows them.

    python benchmarks/peers/ray_tune.py finetune IMAGES.npz CONFIGURATIONS.json EPOCHS [WEIGHTS]

Trains each of the fixed configurations to the end, two trials at a time on two processors.
"""

import json
import sys
from pathlib import Path

import numpy as np
from ray import tune
from ray.tune.integration.keras import TuneReportCheckpointCallback
from ray.tune.search.optuna import OptunaSearch


def build_finetune(config, weights):
    import keras

    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Resizing(96, 96)(inputs)
    x = keras.applications.mobilenet.preprocess_input(x)
    base = keras.applications.MobileNet(include_top=False, weights=weights, input_tensor=x)
    thawed = base.layers[-config["unfrozen_layers"] :] if config["unfrozen_layers"] else []
    for layer in base.layers:
        layer.trainable = layer in thawed and not isinstance(layer, keras.layers.BatchNormalization)
    x = keras.layers.GlobalAveragePooling2D()(base.output)
    outputs = keras.layers.Dense(10, activation="softmax")(x)
    return keras.Model(inputs, outputs)


def build_cnn(config, weights):
    import keras

    model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Rescaling(1 / 127.5, offset=-1)])
    for block in range(config["blocks"]):
        for _ in range(2):
            model.add(keras.layers.Conv2D(config["filters"] * 2**block, 3, padding="same"))
            model.add(keras.layers.BatchNormalization(momentum=0.9))
            model.add(keras.layers.ReLU())
        model.add(keras.layers.MaxPooling2D())
    model.add(keras.layers.GlobalAveragePooling2D())
    model.add(keras.layers.Dense(256, activation="relu"))
    model.add(keras.layers.Dropout(config["dropout"]))
    model.add(keras.layers.Dense(10, activation="softmax"))
    return model


def train(config, images, epochs, build, weights):
    import keras

    data = np.load(images)
    model = build(config, weights)
    model.compile(
        optimizer=keras.optimizers.Adam(config["learning_rate"]),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(
        data["x_train"],
        data["y_train"],
        batch_size=64,
        epochs=epochs,
        validation_data=(data["x_val"], data["y_val"]),
        verbose=0,
        callbacks=[TuneReportCheckpointCallback(metrics=["val_accuracy"], checkpoint_on=[])],
    )


def main():
    space, images, configurations, epochs, *weights = sys.argv[1:]
    configurations = json.loads(Path(configurations).read_text())
    trainable = tune.with_parameters(
        train,
        images=str(Path(images).resolve()),
        epochs=int(epochs),
        build={"finetune": build_finetune, "custom_cnn": build_cnn}[space],
        weights=weights[0] if weights else None,
    )
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
