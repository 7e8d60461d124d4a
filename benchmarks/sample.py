"""A sample of real images for the benchmarks, both as a folder for us and as arrays for those who take arrays."""

import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from tuner.trial.datasets import ImageData

ARCHIVE = Path(__file__).parents[2] / "shared" / "data" / "cifar10-jpeg.tar.xz"
"""CIFAR-10 as JPEG files of quality 75: train/<class>/0000.jpg to 4999.jpg, and test/ likewise."""


TEST = 10
"""Images of each class in test/."""


def draw(folder: Path, training: int, validation: int, seed: int = 0, archive: Path = ARCHIVE) -> tuple[Path, Path]:
    """Unpack so many training images of CIFAR-10 (JPEG q75), equally many of each class, into train/ and val/.

    A few more go into test/, so that none of the training images are held out for it.

    Returns:
        The folder of images, and an .npz of the same ones as x_train, y_train, x_val and y_val.
    """
    order = np.random.default_rng(seed).permutation(5000)
    split = {int(number): "train" for number in order[: training // 10]}
    split |= {int(number): "val" for number in order[training // 10 : (training + validation) // 10]}
    split |= {int(number): "test" for number in order[-TEST:]}
    with tarfile.open(archive) as packed:
        for member in packed:
            parts = Path(member.name)
            if member.isfile() and parts.parts[0] == "train" and int(parts.stem) in split:
                path = folder / "images" / split[int(parts.stem)] / parts.parent.name / parts.name
                path.parent.mkdir(parents=True, exist_ok=True)
                content = packed.extractfile(member)
                assert content is not None
                path.write_bytes(content.read())
    arrays = {}
    for name in ("train", "val"):
        classes = sorted((folder / "images" / name).iterdir())
        files = [(path, label) for label, kind in enumerate(classes) for path in sorted(kind.iterdir())]
        arrays[f"x_{name}"] = np.stack([np.asarray(Image.open(path).convert("RGB")) for path, _ in files])
        arrays[f"y_{name}"] = np.array([label for _, label in files])
    np.savez(folder / "images.npz", **arrays)
    return folder / "images", folder / "images.npz"


def image_data(arrays: str) -> ImageData:
    """The .npz of a sample as the product has its data; nothing of it is for testing."""
    found = np.load(arrays)
    names = tuple(map(str, range(10)))
    return ImageData("arrays", names, found["x_train"], found["y_train"], found["x_val"], found["y_val"], 0)
