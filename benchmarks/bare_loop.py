"""The least that a study of these configurations could take: their epochs in a bare loop, one process for each slot.

    python benchmarks/bare_loop.py finetune IMAGES.npz CONFIGURATIONS.json STORE [WEIGHTS]

No Ray, no records, no saved models; the training itself is ours, with features that are in the store already.
"""

import json
import multiprocessing
import sys
from pathlib import Path
from queue import Empty
from typing import Any

from equal_work import EPOCHS, complete_configurations
from sample import image_data

SLOTS = 2


def train(waiting: Any, space: str, arrays: str, store: str, weights: str | None) -> None:
    """Train what waits, one after another."""
    from tuner.trial.resources import TrialResources, clear_process, prepare_process

    prepare_process(TrialResources(1, 0, SLOTS))
    from search_spaces.configuration import complete
    from search_spaces.custom_cnn import CustomCNN
    from search_spaces.declaration import declared
    from search_spaces.finetune import FineTune
    from search_spaces.task import Task
    from tuner.trial.feature_store import FeatureStore
    from tuner.trial.features import Features
    from tuner.trial.precision import dtype_policy, measured_here
    from tuner.trial.traced import TracedModels
    from tuner.trial.training import Training

    data = image_data(arrays)
    task = Task(32, 10, len(data.train_labels), EPOCHS)
    built = FineTune(task, {"mobilenet": weights}) if space == "finetune" else CustomCNN(task)
    features, traced = Features(FeatureStore(Path(store), 20e9), 0), TracedModels()
    policy = dtype_policy(measured_here(TrialResources(1, 0, SLOTS)))
    while True:
        try:
            values = waiting.get_nowait()
        except Empty:
            return
        clear_process(is_thorough=False)
        traced.begin_trial()
        configuration = complete(declared(built), values)
        training = Training(built, configuration, data, EPOCHS, 0, policy, features, 0, traced)
        for _ in range(EPOCHS):
            training.run_epoch()
        training.close()


def main() -> None:
    """Two processes take from one queue."""
    space, arrays, configurations, store, *weights = sys.argv[1:]
    context = multiprocessing.get_context("spawn")
    waiting = context.Queue()
    for values in complete_configurations(space, json.loads(Path(configurations).read_text())):
        waiting.put(values)
    arguments = (waiting, space, arrays, store, weights[0] if weights else None)
    workers = [context.Process(target=train, args=arguments) for _ in range(SLOTS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise SystemExit("a worker failed")
    print(json.dumps({}))


if __name__ == "__main__":
    main()
