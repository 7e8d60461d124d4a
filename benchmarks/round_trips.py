"""How exported models answer beside the original, and what they weigh and take, on real images of CIFAR-10.

python benchmarks/round_trips.py --weights mobilenet_1_0_notop.weights.h5
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from sample import draw
from side import JPEG, write_table

from results.candidate import candidate
from results.export import COMPARED, export_model
from results.formats import FORMATS
from tuner.config import StudyConfig
from tuner.sample import sample
from tuner.study import run_study

EPOCHS = 3


def main() -> None:
    """Train a model of each space, export it in every format, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True, help="ImageNet weights of MobileNet, without its top")
    options = parser.parse_args()
    images, _ = draw(Path(tempfile.mkdtemp()), 2000, 1000)
    finetune = {"weights": str(Path(options.weights).resolve()), "backbones": ("mobilenet",), "image_size": 96}
    spaces: dict[str, dict[str, Any]] = {
        "custom_cnn": {"fix": {"learning_rate": 0.001, "augmentation": "light"}},
        "finetune": finetune | {"fix": {"unfrozen_layers": 20, "learning_rate": 0.001, "augmentation": "light"}},
    }
    rows = [["space", "format", "MB", "ms an image, alone", "largest difference of a probability", "accuracy",
             "against the original"]]  # fmt: skip
    for space, given in spaces.items():
        storage = Path(tempfile.mkdtemp())
        paths = run_study(
            StudyConfig(space=space, data=str(images), trials=1, max_epochs=EPOCHS, storage=storage, finalists=0,
                        precision="float32", dashboard=False, **given)
        ).paths  # fmt: skip
        written = export_model(paths, candidate(paths), storage / "model.keras", list(FORMATS.values()), sample(paths))
        for one in written:
            rows.append([
                space, one.format, f"{one.size / 1e6:.2f}", f"{one.latency:.1f}", f"{one.difference:.1g}",
                f"{one.accuracy:.3f}", f"{one.accuracy - written[0].accuracy:+.3f}",
            ])  # fmt: skip
    title = f"Every format beside the original on {COMPARED} validation images that it was not trained on. {JPEG}"
    write_table("round_trips", title, rows)


if __name__ == "__main__":
    main()
