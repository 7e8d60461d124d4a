"""Images of more than 8 bits: one scale for a data set, by the values that it has; the same in training and after."""

import json
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from results.candidate import candidate
from results.export import export_model
from results.formats import named
from results.images import decode
from results.labels import card_path, levels_path, read_levels
from results.levels import Levels
from results.predictor import Predictor
from results.records import read_study, write
from results.served import served
from search_spaces.errors import UserError
from tests.results.test_export import IMAGES, a_run, network
from tuner.test_split import load_test_split
from tuner.trial import datasets
from tuner.trial.datasets import ImageData

RNG = np.random.default_rng(0)


def folder_of(root: Path, arrays: dict[str, list[np.ndarray]], suffix: str = "png") -> Path:
    for name, images in arrays.items():
        (root / name).mkdir(parents=True)
        for number, values in enumerate(images):
            Image.fromarray(values).save(root / name / f"{number:02}.{suffix}")
    return root


def greys(largest: int, count: int = 12, kind: type = np.uint16) -> list[np.ndarray]:
    """Images whose values are all grey levels of 0 to the largest."""
    return [np.linspace(0, largest, 32 * 32).reshape(32, 32).astype(kind) for _ in range(count)]


@pytest.mark.parametrize(
    ("largest", "white"), [(200, 255), (1000, 1023), (4095, 4095), (4000, 4095), (16_000, 16_383), (65_535, 65_535)]
)
def test_twelve_bits_in_a_file_of_sixteen_keep_their_grey_levels(tmp_path: Path, largest: int, white: int) -> None:
    data = datasets.load(str(folder_of(tmp_path, {"dark": greys(largest // 4), "light": greys(largest)})), None, seed=0)
    assert data.levels == Levels(0, white)
    light = data.train_images[data.train_labels == 1]
    assert light.max() == 255 * largest // white
    assert len(np.unique(light)) > 190
    dark = data.train_images[data.train_labels == 0]
    assert dark.max() == pytest.approx(light.max() / 4, abs=1.5), "one scale for all"
    assert f"Images of more than 8 bits: values of 0 to {white:,} become 0 to 255" in data.summary()


def test_a_hot_pixel_does_not_decide(tmp_path: Path) -> None:
    images = greys(4095)
    images[3][5, 5] = 65_535
    assert datasets.load(str(folder_of(tmp_path, {"a": images, "b": greys(4000)})), None, 0).levels == Levels(0, 4095)


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        (np.linspace(0, 1, 1024, dtype=np.float32), Levels(0, 1)),
        (np.linspace(-0.02, 1.02, 1024, dtype=np.float32), Levels(0, 1)),
        (np.linspace(0, 255, 1024, dtype=np.float32), Levels(0, 255)),
        (np.linspace(0, 3000, 1024, dtype=np.float32), Levels(0, 4095)),
        (np.linspace(-1000, 3000, 1024).astype(np.int32), Levels(-1024, 4095)),
        (np.where(np.arange(1024) < 9, np.nan, np.linspace(0, 1, 1024)).astype(np.float32), Levels(0, 1)),
    ],
)
def test_floats_and_signed_numbers(tmp_path: Path, values: np.ndarray, levels: Levels) -> None:
    images = [values.reshape(32, 32)] * 8
    data = datasets.load(str(folder_of(tmp_path, {"a": images, "b": images}, "tif")), None, seed=0)
    assert data.levels == levels
    assert len(np.unique(data.train_images)) > 150


def test_kinds_without_a_common_scale_are_refused(tmp_path: Path) -> None:
    root = folder_of(tmp_path, {"a": greys(4095), "b": greys(1, kind=np.float32)}, "tif")
    with pytest.raises(UserError, match="some images have floats and others whole numbers of more than 8 bits"):
        datasets.load(str(root), None, seed=0)


def test_eight_bits_have_no_levels(folder: Path) -> None:
    assert datasets.load(str(folder), None, seed=0).levels is None


def colour_png(file: Path, values: np.ndarray) -> None:
    """16-bit RGB, which Pillow reads and does not write."""
    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    chunks = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    ]
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


@pytest.mark.parametrize("largest", [4095, 65_535])
def test_colours_of_which_too_few_bits_can_be_read_are_refused(tmp_path: Path, largest: int) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(8):
            colour_png(tmp_path / name / f"{number}.png", RNG.integers(0, largest, (16, 16, 3)))
    if largest == 4095:
        with pytest.raises(UserError, match=r"16-bit colour images have values of 0 to 4,095 only.*convert them to 8"):
            datasets.load(str(tmp_path), None, seed=0)
    else:
        data = datasets.load(str(tmp_path), None, seed=0)
        assert data.levels is None
        assert data.train_images.max() == 255


@pytest.fixture
def twelve(tmp_path: Path) -> tuple[Path, ImageData]:
    """A data set of 12 bits whose class `dim` has none that is bright."""
    root = folder_of(tmp_path / "data", {"dim": greys(900), "light": greys(4095)})
    return root, datasets.load(str(root), None, seed=0)


def test_the_test_split_has_the_scale_of_training(twelve: tuple[Path, ImageData]) -> None:
    root, data = twelve
    found = load_test_split(str(root), 32, 0, (), data.record().levels)
    images, labels = found.images, found.labels
    assert images[labels == 0].max() == data.train_images[data.train_labels == 0].max() == 900 * 255 // 4095


def test_a_single_image_is_predicted_on_the_scale_of_training(twelve: tuple[Path, ImageData], tmp_path: Path) -> None:
    root, data = twelve
    model = tmp_path / "model.keras"
    network(0).save(model)
    assert data.levels is not None
    levels_path(model).write_text(json.dumps({"black": data.levels.black, "white": data.levels.white}))
    seen: list[np.ndarray] = []
    predictor = Predictor(model, ("a", "b", "c"))
    probabilities = predictor.probabilities
    predictor.probabilities = lambda images: (seen.append(images), probabilities(images))[1]  # type: ignore[method-assign,func-returns-value]
    list(predictor.classify([root / "dim" / "00.png"], top=1))
    np.testing.assert_array_equal(seen[0][0], decode(root / "dim" / "00.png", predictor.image_size, data.levels))
    assert seen[0].max() <= 900 * 255 // 4095
    assert decode(root / "dim" / "00.png", 32).max() > 200, "without the data set's levels an image has its own"


@pytest.mark.parametrize("text", ["", "[]", '{"black": 0}', '{"black": 5, "white": 5}', '{"black": 0, "white": "x"}'])
def test_damaged_levels_are_told(tmp_path: Path, text: str) -> None:
    levels_path(tmp_path / "model.keras").write_text(text)
    with pytest.raises(UserError, match=r"model.levels.json does not hold the levels .*export the model again"):
        read_levels(tmp_path / "model.keras")


def test_an_exported_model_has_the_levels_of_its_study_beside_it(tmp_path: Path) -> None:
    paths, out = a_run(tmp_path / "run"), tmp_path / "model.keras"
    study = read_study(paths)
    write(paths.study, replace(study, data=replace(study.data, levels=Levels(0, 4095))))
    export_model(paths, candidate(paths), out, named(["keras"]), IMAGES)
    assert read_levels(out) == Predictor(out).levels == served(str(paths.root), None, 1).levels == Levels(0, 4095)
    assert "values of 0 to 4,095 became 0 to 255" in card_path(out).read_text()
    write(paths.study, study)
    export_model(paths, candidate(paths), out, named(["keras"]), IMAGES)
    assert read_levels(out) is None, "none of another model stay there"
