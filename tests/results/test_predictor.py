"""Images in, classes out: which files are meant, and what is said of those that are no images."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from results.answers import FORMATS
from results.predictor import Answer, Guess, Predictor, found_images
from search_spaces.errors import UserError
from tests.results.test_export import network


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    file = tmp_path_factory.mktemp("model") / "model.keras"
    network(0).save(file)
    return Predictor(file, ("cat", "dog", "cow"))


def test_what_does_not_decode_is_told_and_the_rest_goes_on(tmp_path: Path, predictor: Predictor) -> None:
    Image.new("RGB", (1, 1), "red").save(tmp_path / "one.png")
    (tmp_path / "text.jpg").write_text("not an image")
    Image.new("1", (20000, 20000)).save(tmp_path / "huge.png")
    Image.new("RGB", (30, 20), "blue").save(tmp_path / "last.jpg")
    answers = list(predictor.classify(found_images([str(tmp_path)]), top=2, batch=2))
    assert [answer.image.name for answer in answers] == ["huge.png", "last.jpg", "one.png", "text.jpg"]
    assert [len(answer.guesses) for answer in answers] == [0, 2, 2, 0]
    assert "more than 89,478,485 pixels" in str(answers[0].refused)
    assert "not an image that Pillow knows" in str(answers[3].refused)


def test_batches_change_nothing(tmp_path: Path, predictor: Predictor) -> None:
    for number in range(5):
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (9, 9, 3), dtype=np.uint8)).save(
            tmp_path / f"{number}.png"
        )
    files = found_images([f"{tmp_path}/*.png"])
    one, all_at_once = (list(predictor.classify(files, 3, batch)) for batch in (1, 100))
    assert [answer.image for answer in one] == files
    for single, together in zip(one, all_at_once, strict=True):
        assert [guess.label for guess in single.guesses] == [guess.label for guess in together.guesses]
        assert sum(guess.probability for guess in single.guesses) == pytest.approx(1, abs=1e-5)


def test_a_glob_may_begin_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.png").write_bytes(b"")
    assert found_images(["~/*.png"]) == [tmp_path / "a.png"]


def test_files_folders_and_globs_are_found_once_each(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("a.png", "b.JPG", "deep/c.webp", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    found = found_images([str(tmp_path / "a.png"), str(tmp_path), f"{tmp_path}/**/*.webp"])
    assert [file.name for file in found] == ["a.png", "b.JPG", "c.webp"]
    with pytest.raises(UserError, match=r"\*\.bmp: no such file, and no image there"):
        found_images([f"{tmp_path}/*.bmp"])


ANSWERS = [
    Answer(Path("x,y.png"), (Guess('the "cat"', 0.75), Guess("dog", 0.25))),
    Answer(Path("text.jpg"), refused="text.jpg: not an image"),
]


def written(form: str) -> str:
    out = io.StringIO()
    FORMATS[form](ANSWERS, out)
    return out.getvalue()


def test_csv_can_be_read_back() -> None:
    assert list(csv.reader(io.StringIO(written("csv")))) == [
        ["image", "rank", "class", "probability"],
        ["x,y.png", "1", 'the "cat"', "0.750000"],
        ["x,y.png", "2", "dog", "0.250000"],
        ["text.jpg", "", "", ""],
    ]


def test_json_can_be_read_back() -> None:
    assert json.loads(written("json")) == [
        {"image": "x,y.png", "classes": {'the "cat"': 0.75, "dog": 0.25}},
        {"image": "text.jpg", "refused": "text.jpg: not an image"},
    ]


def test_the_table_names_each_image_once() -> None:
    assert written("table").count("x,y.png") == 1
