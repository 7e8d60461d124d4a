"""How often the interval that a study reports holds the true accuracy of the model that it hands over.

    python benchmarks/interval_coverage.py

Small studies on real images of CIFAR-10, each with other images and another seed. The truth is the model's accuracy on
the images of CIFAR-10's test set that the study was not given: twenty times as many as its own test split has.
"""

import argparse
import io
import json
import statistics
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from sample import ARCHIVE
from side import JPEG, measured, write_table

TRAINING, VALIDATION, TEST = 100, 50, 50
"""Images of each class."""
EPOCHS = 3


def draw(folder: Path, seed: int, archive: Path = ARCHIVE) -> Path:
    """A folder with train/, val/ and test/, and `rest.npz` with the test images that it has not."""
    rng = np.random.default_rng(seed)
    training, testing = rng.permutation(5000), rng.permutation(1000)
    split = {("train", int(number)): "train" for number in training[:TRAINING]}
    split |= {("train", int(number)): "val" for number in training[TRAINING : TRAINING + VALIDATION]}
    split |= {("test", int(number)): "test" for number in testing[:TEST]}
    images, labels = [], []
    with tarfile.open(archive) as packed:
        for member in packed:
            if not member.isfile():
                continue
            part, name, file = Path(member.name).parts
            place = split.get((part, int(Path(file).stem)))
            if place is None and part == "train":
                continue
            content = packed.extractfile(member)
            assert content is not None
            if place is None:
                images.append(np.asarray(Image.open(io.BytesIO(content.read())).convert("RGB")))
                labels.append(name)
            else:
                path = folder / place / name / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.read())
    np.savez(folder / "rest.npz", images=np.stack(images), labels=np.unique(labels, return_inverse=True)[1])
    return folder


def study(seed: int, trials: int) -> None:
    """One study; prints what it reported, and the truth."""
    from results.candidate import candidate
    from results.predictor import Predictor
    from results.report import Results
    from tuner.config import StudyConfig
    from tuner.study import run_study

    folder, storage = draw(Path(tempfile.mkdtemp()), seed), Path(tempfile.mkdtemp())
    paths = run_study(
        StudyConfig(space="custom_cnn", data=str(folder), trials=trials, max_epochs=EPOCHS, seed=seed, storage=storage)
    ).paths
    results, rest = Results.read(paths), np.load(folder / "rest.npz")
    assert results.test is not None
    called = Predictor(candidate(paths).members[0].file).probabilities(rest["images"]).argmax(axis=1)
    found, winner = results.test.evaluation, results.finalists[0]
    said = {
        "searched": max(epoch.val_accuracy for trial in results.trials for epoch in trial.epochs),
        "means": [one.mean for one in results.finalists],
        "spread": winner.spread,
        "test": found.accuracy,
        "interval": found.interval,
        "truth": float((called == rest["labels"]).mean()),
    }
    print(json.dumps(said))


def main() -> None:
    """Run the studies and write the table."""
    if sys.argv[1:2] == ["study"]:
        study(*map(int, sys.argv[2:]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=10)
    parser.add_argument("--trials", type=int, default=12, help="of each study but the first")
    parser.add_argument("--first-trials", type=int, default=30, help="of the first study")
    options = parser.parse_args()
    rows = [["study", "trials", "the search's best", "finalists' means", "test accuracy", "95 % interval", "truth",
             "inside", "optimism of the search"]]  # fmt: skip
    inside, optimism = 0, []
    for seed in range(options.studies):
        trials = options.trials if seed else options.first_trials
        found = measured([sys.executable, __file__, "study", str(seed), str(trials)])
        low, high = found["interval"]
        is_inside = low <= found["truth"] <= high
        inside += is_inside
        optimism.append(found["searched"] - found["truth"])
        rows.append([
            str(seed), str(trials), f"{found['searched']:.3f}", ", ".join(f"{mean:.3f}" for mean in found["means"]),
            f"{found['test']:.3f}", f"{low:.3f} to {high:.3f}", f"{found['truth']:.3f}", "yes" if is_inside else "no",
            f"{optimism[-1]:+.3f}",
        ])  # fmt: skip
        print(*rows[-1], sep="  ", file=sys.stderr, flush=True)
    rows.append(["all", "", "", "", "", "", "", f"{inside} of {options.studies}", f"{statistics.mean(optimism):+.3f}"])
    title = (
        f"Small studies (custom_cnn, {10 * TRAINING} training, {10 * VALIDATION} validation and {10 * TEST} test "
        f"images, at most {EPOCHS} epochs, 3 finalists on 3 seeds): does the interval hold the accuracy on the "
        f"{10 * (1000 - TEST)} other test images? {JPEG}"
    )
    write_table("interval_coverage", title, rows)


if __name__ == "__main__":
    main()
