"""A run's model handed over: every format answers as the model of the run does."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from results.best_models import BestModels
from results.candidate import candidate, members_of
from results.export import Sample, export_model
from results.formats import FORMATS, Format, in_float32, named
from results.labels import card_path, labels_path
from results.paths import RunPaths
from results.predictor import Predictor
from results.records import TrialState, read_study, read_trials, write
from search_spaces.errors import UserError
from tests.results.written_run import a_trial, write_run
from tuner.sample import sample

CLASSES = ("a cat", "<b>dog</b>", "c|d")
RNG = np.random.default_rng(0)
IMAGES = Sample(
    "validation images",
    RNG.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8),
    RNG.integers(0, 3, 40),
    RNG.integers(0, 256, (60, 8, 8, 3), dtype=np.uint8),
)


def network(seed: int, policy: str = "float32") -> keras.Model:
    """Raw pixels in, probabilities out, as `Training.save_model` leaves it."""
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy(policy)
    try:
        pixels = keras.Input((8, 8, 3))
        hidden = keras.layers.Rescaling(1 / 255)(pixels)
        hidden = keras.layers.Conv2D(4, 3, use_bias=False)(hidden)
        hidden = keras.layers.BatchNormalization()(hidden)
        hidden = keras.layers.Dropout(0.5)(keras.layers.Flatten()(keras.layers.ReLU()(hidden)))
        return keras.Model(pixels, keras.layers.Dense(3, activation="softmax", dtype="float32")(hidden))
    finally:
        keras.config.set_dtype_policy("float32")


def a_run(root: Path, policy: str = "float32") -> RunPaths:
    """Two trials whose models were kept, the better one first, and four runs of finalists."""
    searched = [a_trial(0, (0.5, 0.7)), a_trial(1, (0.6,), units=32), a_trial(2, (0.4,), units=16)]
    paths = write_run(root, searched, class_names=CLASSES)
    study = read_study(paths)
    options = {**study.options, "seed": 0, "trials": 3, "weights": "imagenet"}
    write(paths.study, replace(study, options=options, data=replace(study.data, image_size=8)))
    for number, epoch, accuracy in ((0, 2, 0.7), (1, 1, 0.6)):
        offer(paths, number, epoch, accuracy, policy)
    for number, units in enumerate((64, 64, 32, 32)):
        accuracy = 0.6 + number / 100
        record = replace(a_trial(number, (accuracy,), units=units), seed=1 + number % 2)
        paths.finalists.trial(number).mkdir(parents=True)
        write(paths.finalists.trial_record(number), record)
        offer(paths.finalists, number, 1, accuracy, policy, keep=4)
    return paths


def offer(paths: RunPaths, number: int, epoch: int, accuracy: float, policy: str, keep: int = 3) -> None:
    result = {"epoch": epoch, "val_accuracy": accuracy}
    BestModels(paths.best, keep).offer(number, result, network(number, policy).save)


@pytest.mark.parametrize("name", list(FORMATS))
def test_each_format_answers_as_the_model_does_and_is_listed(tmp_path: Path, name: str) -> None:
    paths, out = a_run(tmp_path / "run"), tmp_path / "out" / "pets.keras"
    (written,) = export_model(paths, candidate(paths), out, named([name]), IMAGES)
    expected = keras.models.load_model(candidate(paths).members[0].file).predict(IMAGES.images, verbose=0)
    found = FORMATS[name].load(written.path)(IMAGES.images)
    assert found == pytest.approx(expected, abs=FORMATS[name].tolerance or 0.1)
    assert written.difference == pytest.approx(np.abs(found - expected).max(), abs=1e-6)
    assert written.size > 100
    assert json.loads(labels_path(out).read_text()) == list(CLASSES)
    assert f"| {written.path.name} |" in card_path(out).read_text()
    assert sorted(file.name for file in out.parent.iterdir()) == sorted(
        [written.path.name, "pets.labels.json", "pets.md"]
    ), "nothing unfinished is left"


@pytest.mark.parametrize("name", ["savedmodel", "onnx", "litert"])
def test_what_was_trained_in_bfloat16_is_handed_over_in_float32(tmp_path: Path, name: str) -> None:
    paths = a_run(tmp_path / "run", policy="mixed_bfloat16")
    (written,) = export_model(paths, candidate(paths), tmp_path / "out.keras", named([name]), IMAGES)
    rounded = keras.models.load_model(candidate(paths).members[0].file).predict(IMAGES.images, verbose=0)
    found = FORMATS[name].load(written.path)(IMAGES.images)
    assert found == pytest.approx(rounded, abs=0.02), "bfloat16 has three digits"
    assert not np.array_equal(found, rounded)
    assert {layer.dtype_policy.compute_dtype for layer in in_float32(candidate(paths).members[0].file).layers} == {
        "float32"
    }


def test_a_format_that_answers_differently_is_not_written(tmp_path: Path) -> None:
    def wrong(model: Path, out: Path, images: np.ndarray) -> None:
        network(99).save(out)

    paths, out = a_run(tmp_path / "run"), tmp_path / "out.keras"
    broken = Format("broken", ".keras", wrong, FORMATS["keras"].load)
    with pytest.raises(UserError, match=r"--formats broken: its probabilities differ from the model's by up to 0\.\d+"):
        export_model(paths, candidate(paths), out, [broken], IMAGES)
    assert [file.name for file in tmp_path.iterdir()] == ["run"]


def test_a_format_that_the_converter_cannot_make_is_named(tmp_path: Path) -> None:
    def unknown(model: Path, out: Path, images: np.ndarray) -> None:
        raise ValueError("No Op registered for Erfc")

    paths = a_run(tmp_path / "run")
    broken = Format("broken", ".keras", unknown, FORMATS["keras"].load)
    with pytest.raises(
        UserError, match=r"--formats broken: the model cannot be converted \(ValueError: No Op reg.* out$"
    ):
        export_model(paths, candidate(paths), tmp_path / "out.keras", [broken], IMAGES)
    assert [file.name for file in tmp_path.iterdir()] == ["run"]


def test_a_folder_that_is_no_saved_model_is_left_alone(tmp_path: Path) -> None:
    paths = a_run(tmp_path / "run")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("precious")
    with pytest.raises(UserError, match="is a folder that is no SavedModel"):
        export_model(paths, candidate(paths), tmp_path / "thesis.keras", named(["savedmodel"]), IMAGES)
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "precious"


def test_a_format_is_written_again_in_place(tmp_path: Path) -> None:
    paths = a_run(tmp_path / "run")
    for _ in range(2):
        export_model(paths, candidate(paths), tmp_path / "out.keras", named(["savedmodel", "keras"]), IMAGES)
    assert (tmp_path / "out" / "saved_model.pb").is_file()


def test_a_run_whose_images_are_gone_is_exported_all_the_same(tmp_path: Path) -> None:
    paths, out = a_run(tmp_path / "run"), tmp_path / "out.keras"
    found = sample(paths)  # its data are a folder `pets` that is not there
    (written,) = export_model(paths, candidate(paths), out, named(["keras"]), found)
    assert written.accuracy is None
    assert "compared with the original on random pixels" in card_path(out).read_text()
    with pytest.raises(
        UserError, match="--formats litert-int8: needs training images, and those of the study are gone"
    ):
        export_model(paths, candidate(paths), out, named(["litert-int8"]), found)


def test_a_model_saved_with_lists_of_one_input_and_output_gives_one_answer(tmp_path: Path) -> None:
    """As runs were written before there were formats."""
    paths, out = a_run(tmp_path / "run"), tmp_path / "out.keras"
    model = network(0)
    keras.Model(model.inputs, model.outputs).save(candidate(paths).members[0].file)
    written = export_model(paths, candidate(paths), out, named(["keras", "savedmodel"]), IMAGES)
    assert [one.difference for one in written] == pytest.approx([0, 0], abs=1e-6)
    assert Predictor(out).probabilities(IMAGES.images).shape == (40, 3)


def test_formats_are_written_together_or_not_at_all(tmp_path: Path) -> None:
    """Or the labels of one run would lie beside the model of another."""
    paths, out = a_run(tmp_path / "run"), tmp_path / "out.keras"
    export_model(paths, candidate(paths, rank=1), out, named(["keras"]), IMAGES)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()}
    wrong = replace(FORMATS["onnx"], load=lambda file: lambda images: np.zeros((len(images), 3)))
    with pytest.raises(UserError, match="--formats onnx: its probabilities differ"):
        export_model(paths, candidate(paths, rank=2), out, [FORMATS["keras"], wrong], IMAGES)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()} == before


def test_images_of_all_classes_are_compared(tmp_path: Path) -> None:
    """Those of a folder come class by class."""
    asked: list[np.ndarray] = []

    def load(file: Path) -> Callable[[np.ndarray], np.ndarray]:
        classify = FORMATS["keras"].load(file)
        return lambda images: asked.append(images) or classify(images)  # type: ignore[func-returns-value]

    images = np.repeat(np.arange(3, dtype=np.uint8), 400)[:, None, None, None] * np.ones((1, 8, 8, 3), np.uint8)
    many = Sample("validation images", images, np.repeat(np.arange(3), 400), IMAGES.training_images)
    chosen, one = candidate(a_run(tmp_path / "run")), replace(FORMATS["keras"], load=load)
    export_model(RunPaths(tmp_path / "run"), chosen, tmp_path / "out.keras", [one], many)
    assert len(asked[0]) == 256
    assert set(np.unique(asked[0])) == {0, 1, 2}


def test_models_inside_a_model_are_handed_over_in_float32_too(tmp_path: Path) -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        inner = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(4)])
        pixels = keras.Input((8, 8, 3))
        found = keras.layers.Dense(3, activation="softmax", dtype="float32")(inner(pixels))
        keras.Model(pixels, found).save(tmp_path / "model.keras")
    finally:
        keras.config.set_dtype_policy("float32")
    layers = in_float32(tmp_path / "model.keras")._flatten_layers()
    assert {layer.dtype_policy.compute_dtype for layer in layers} == {"float32"}


def test_logits_become_probabilities(tmp_path: Path) -> None:
    pixels = keras.Input((8, 8, 3))
    model = keras.Model(pixels, keras.layers.Dense(3)(keras.layers.Flatten()(pixels)))
    model.save(tmp_path / "model.keras")
    found = Predictor(tmp_path / "model.keras", CLASSES).probabilities(IMAGES.images)
    logits = model.predict(IMAGES.images, verbose=0)
    assert found == pytest.approx(np.asarray(keras.ops.softmax(logits)), abs=1e-5)


def test_a_finalist_is_of_the_trial_that_was_trained_and_not_of_one_that_was_skipped_before_it(tmp_path: Path) -> None:
    paths = a_run(tmp_path / "run")
    skipped, *others = read_trials(paths)
    again = replace(skipped, trial=3)
    write(paths.trial_record(0), replace(skipped, state=TrialState.SKIPPED, epochs=()))
    paths.trial(3).mkdir()
    write(paths.trial_record(3), again)
    found = members_of(paths, read_trials(paths), read_trials(paths.finalists))
    assert {member.trial.trial for member in found} == {1, 3}
    assert len(others) == 2


def test_no_format_is_refused() -> None:
    with pytest.raises(UserError, match="--formats: must be all, or some of keras"):
        named([])


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(UserError, match="--formats tflight: must be all, or some of keras, savedmodel, onnx, litert"):
        named(["tflight"])


def test_the_first_finalist_is_handed_over_unless_a_rank_is_named(tmp_path: Path) -> None:
    paths = a_run(tmp_path / "run")
    (first,) = candidate(paths).members
    assert (first.trial.trial, first.seed, first.val_accuracy) == (1, 2, 0.63)
    assert candidate(paths, rank=2).members[0].trial.trial == 1
    assert candidate(paths, rank=1).members[0].trial.trial == 0
    shutil.rmtree(paths.finalists.root)
    assert candidate(paths).members[0].trial.trial == 0, "without finalists the best of the search"
    with pytest.raises(UserError, match=r"--rank 3: that model was not kept; those of rank 1, 2 were"):
        candidate(paths, rank=3)


def test_no_other_model_passes_for_the_best_one_of_another_driver(tmp_path: Path) -> None:
    paths = a_run(tmp_path / "run")
    shutil.rmtree(paths.finalists.root)
    paths.trial(3).mkdir()
    write(paths.trial_record(3), replace(a_trial(3, (0.9,), units=8), driver="another"))
    with pytest.raises(UserError, match="the best trial, 3, is another driver's.* take this driver's best by --rank 2"):
        candidate(paths)
    assert candidate(paths, rank=2).members[0].trial.trial == 0


def test_an_ensemble_is_the_mean_of_the_best_finalists_models(tmp_path: Path) -> None:
    paths, out = a_run(tmp_path / "run"), tmp_path / "out.keras"
    chosen = candidate(paths, ensemble=3)
    assert [member.val_accuracy for member in chosen.members] == pytest.approx([0.63, 0.62, 0.61])
    export_model(paths, chosen, out, named(["keras", "onnx"]), IMAGES)
    each = [Predictor(member.file, CLASSES).probabilities(IMAGES.images) for member in chosen.members]
    assert Predictor(out).probabilities(IMAGES.images) == pytest.approx(np.mean(each, axis=0), abs=1e-5)
    assert "The mean of 3 models" in card_path(out).read_text()
    with pytest.raises(UserError, match="--ensemble 9: the run has 4 models of finalists"):
        candidate(paths, ensemble=9)


def test_an_ensemble_has_each_training_once_and_none_that_failed(tmp_path: Path) -> None:
    paths = a_run(tmp_path / "run")
    again = read_trials(paths.finalists)
    write(paths.finalists.trial_record(3), replace(again[3], seed=again[2].seed))  # as if it had been interrupted
    write(paths.finalists.trial_record(1), replace(again[1], state=TrialState.FAILED))
    assert [member.val_accuracy for member in candidate(paths, ensemble=2).members] == pytest.approx([0.63, 0.60])
    with pytest.raises(UserError, match="--ensemble 3: the run has 2 models of finalists"):
        candidate(paths, ensemble=3)


def test_the_card_says_what_is_known_and_escapes_names(tmp_path: Path) -> None:
    paths, out = a_run(tmp_path / "run"), tmp_path / "out.keras"
    export_model(paths, candidate(paths, rank=1), out, named(["keras"]), IMAGES)
    text = card_path(out).read_text()
    assert "<b>" not in text
    assert "a cat, &#60;b&#62;dog&#60;/b&#62;, c&#124;d" in text
    for part in ("The test split has not been asked", "70.00 %", "12,345 parameters", "fingerprint", "| units | 64 |"):
        assert part in text


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 not all of it"])
def test_a_missing_or_truncated_model_is_named(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "model.keras").write_bytes(content)
    with pytest.raises(UserError, match=r"model\.keras(: no such file| is not a model that Keras can load)"):
        Predictor(tmp_path / "model.keras")
