"""A search as Optuna's documentation shows it: TPE, HyperbandPruner, and the same script in two processes.

    python benchmarks/peers/optuna_hyperband.py IMAGES.npz WEIGHTS TRIALS SEED

The processes share a study in a journal file.
"""

import json
import os
import subprocess
import sys
import tempfile
import time

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

EPOCHS, LAYERS = 4, 86


def optimize(images, weights, trials, seed, journal):
    import keras
    import tensorflow as tf

    from benchmarks.peers import models

    tf.config.threading.set_intra_op_parallelism_threads(1)
    training, validation = models.images(images)

    class Report(keras.callbacks.Callback):
        def __init__(self, trial):
            super().__init__()
            self.trial = trial

        def on_epoch_end(self, epoch, logs=None):
            self.trial.report(logs["val_accuracy"], epoch)
            self.trial.set_user_attr(f"epoch {epoch}", (time.time(), logs["val_accuracy"]))
            if self.trial.should_prune():
                raise optuna.TrialPruned

    def objective(trial):
        keras.backend.clear_session()
        model = models.finetuned(
            weights,
            trial.suggest_int("unfrozen_layers", 0, LAYERS),
            trial.suggest_float("learning_rate", 1e-4, 3e-2, log=True),
            trial.suggest_float("dropout", 0.0, 0.6, step=0.05),
        )
        history = model.fit(
            *training,
            batch_size=models.BATCH,
            epochs=EPOCHS,
            validation_data=validation,
            verbose=0,
            callbacks=[Report(trial)],
        )
        return history.history["val_accuracy"][-1]

    study = optuna.create_study(
        study_name="peer",
        storage=JournalStorage(JournalFileBackend(journal)),
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.HyperbandPruner(min_resource=1, max_resource=EPOCHS, reduction_factor=4),
        load_if_exists=True,
    )
    study.optimize(objective, n_trials=trials)
    return study


def main():
    images, weights, trials, seed, *rest = sys.argv[1:]
    if rest:
        optimize(images, weights, int(trials), int(seed), rest[0])
        return
    journal = os.path.join(tempfile.mkdtemp(), "study.journal")
    halves = (int(trials) // 2, int(trials) - int(trials) // 2)
    workers = [
        subprocess.Popen([sys.executable, __file__, images, weights, str(half), str(int(seed) * 2 + number), journal])
        for number, half in enumerate(halves)
    ]
    codes = [worker.wait() for worker in workers]
    if any(codes):
        raise SystemExit("a worker failed")
    study = optuna.load_study(study_name="peer", storage=JournalStorage(JournalFileBackend(journal)))
    print(json.dumps({"curve": [point for trial in study.trials for point in trial.user_attrs.values()]}))


if __name__ == "__main__":
    main()
