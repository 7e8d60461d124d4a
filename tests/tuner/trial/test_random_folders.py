"""Random folders: every file is used or named, or the whole is refused in a sentence; no file is in two splits."""

import functools
import io
import os
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import event, given, settings
from hypothesis import strategies as st
from PIL import Image

from results.image_files import SUFFIXES
from search_spaces.errors import UserError
from tuner.trial import datasets
from tuner.trial.datasets import ImageData
from tuner.trial.image_folder import splits

EXAMPLES = int(os.environ.get("FOLDERS", "60"))
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB", "I", "I;16", "I;16B", "F")
KINDS = (("RGB",), MODES[:11], MODES[:-1], MODES, (*MODES[:-1], "broken", "text"))
LITTER = (".DS_Store", "._1.jpg", "Thumbs.db", "desktop.ini", "__MACOSX/1.png", ".hidden/1.png", "@eaDir/a/1.png")
SPLITS = {
    "train": ("train", "Train", "TRAINING", "training_set", "trn"),
    "val": ("val", "Valid", "validation", "dev", "validation-images"),
    "test": ("test", "TESTING", "test set", "test_data"),
}
ODD = ("test1", "images", "masks", "seg_train", "holdout", "extra", "labels", "old", "2024", "train", "valid", "test")

names = st.one_of(
    st.sampled_from(["cats", "Cats", "dogs", "a b", "ä", "a\u0308", "x.y", "0", "train", "#1", "日本", "-o", "a,b"]),
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1, max_size=6).filter(
        lambda name: not name.startswith(".")
    ),
)
files = st.builds(
    "{}{}".format,
    st.sampled_from(["1", "img", "IMG 1", "a.b", "2", "3", "ü"]),
    st.sampled_from([*SUFFIXES, ".JPG", ".Tif", ".txt", ".csv", "", ".heic", ".json", ".xml"]),
)


@functools.cache
def content(suffix: str, mode: str) -> bytes:
    """Of a file: an image in that mode, or in RGB where its format has no such."""
    if mode in ("broken", "text"):
        return b"" if mode == "text" else b"\x89PNG\r\n\x1a\n1234"
    for given_mode in (mode, "RGB"):
        out = io.BytesIO()
        try:
            Image.new(given_mode, (16, 16)).save(out, Image.registered_extensions().get(suffix.lower(), "PNG"))
            return out.getvalue()
        except (OSError, ValueError, KeyError):
            continue
    raise AssertionError(suffix)


@st.composite
def folders(draw: st.DrawFn) -> dict[str, bytes]:
    """The files of a folder that is nearly right, with what people leave in it."""
    wrapping = "".join(f"{one}/" for one in draw(st.lists(st.sampled_from(["photos", "a b", "train"]), max_size=1)))
    given_splits = draw(st.sampled_from([(), (), ("train",), ("train", "val"), ("train", "test"), tuple(SPLITS)]))
    tops = [f"{draw(st.sampled_from(SPLITS[name]))}/" for name in given_splits] or [""]
    classes = draw(st.lists(names, min_size=2 if draw(st.integers(0, 9)) else 1, max_size=4, unique=True))
    modes, found = st.sampled_from(draw(st.sampled_from(KINDS))), {}
    least = draw(st.sampled_from([0, 3, 8, 9, 9, 9]))
    for top in tops:
        for name in classes:
            for number in range(draw(st.integers(least, 10))):
                suffix, mode = draw(st.sampled_from(SUFFIXES)), draw(modes)
                below = draw(st.sampled_from(["", "", "", "", "deep/", "deep/er/"]))
                found[f"{wrapping}{top}{name}/{below}{number}{suffix}"] = content(suffix, mode)
    places = st.one_of(st.sampled_from([*tops, *classes, *ODD]), names)
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 3]))):
        parts = [part.strip("/") for part in draw(st.lists(places, max_size=3)) if part.strip("/")]
        name = draw(files)
        found["/".join([*parts, name])] = content(Path(name).suffix, draw(modes))
    for top in draw(st.lists(st.sampled_from([*tops, *classes]), max_size=2)):  # where classes lie
        name = draw(files)
        found[f"{wrapping}{top}/{name}" if top else f"{wrapping}{name}"] = content(Path(name).suffix, draw(modes))
    for top in draw(st.lists(st.sampled_from(["", *tops, *(f"{tops[0]}{name}/" for name in classes)]), max_size=3)):
        found[f"{wrapping}{top}{draw(st.sampled_from(LITTER))}"] = content(".png", "RGB")
    return found


def write(root: Path, found: dict[str, bytes]) -> set[Path]:
    """Write the files, but those that would lie in another file or be a folder; return those that are no litter."""
    written = set()
    for name, data in found.items():
        path = root / name
        assert path.is_relative_to(root), "nothing is written elsewhere"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            continue
        if not any(part.startswith(".") or part in ("__MACOSX", "@eaDir", "Thumbs.db", "desktop.ini")
                   for part in path.relative_to(root).parts):  # fmt: skip
            written.add(path)
    return written


def loaded(root: Path) -> tuple[ImageData | None, str]:
    """The data, or why there are none."""
    try:
        return datasets.load(str(root), 8, seed=0), ""
    except UserError as error:
        return None, str(error)


@settings(max_examples=EXAMPLES, deadline=None)
@given(folders())
def test_every_file_is_used_or_named(found: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary).resolve() / "data"
        root.mkdir()
        written = write(root, found)
        data, refusal = loaded(root)
        if data is None:
            assert str(root) in refusal
            event("refused")
            return
        event("understood")
        drawn = splits(root, seed=0)
        parts = [set(files.paths) for files in (drawn.train, drawn.validation, drawn.test)]
        assert sum(map(len, parts)) == len(set.union(*parts)), "an image is in two splits"
        named = {Path(name) for name in data.unused}
        assert set.union(*parts) | named == written
        assert not set.union(*parts) & named
        skipped = [name.partition(": ")[0] for name in data.skipped]
        assert {Path(name) for name in skipped} <= parts[0] | parts[1]
        assert len(data.train_labels) + len(data.validation_labels) + len(skipped) == len(parts[0]) + len(parts[1])
        for files in (drawn.train, drawn.validation, drawn.test):
            for path, label in zip(files.paths, files.labels, strict=True):
                assert data.class_names[label] in path.relative_to(root).parts[:-1]
        told = data.summary()
        assert not data.unused or str(data.unused[0]) in told
        assert np.isin(np.arange(len(data.class_names)), data.train_labels).all()
