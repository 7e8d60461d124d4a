"""Bad input: a clear error before the first trial, and nothing half-written."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import pytest
from PIL import Image

from search_spaces.cifar_cnn import CLASSES

ROOT = Path(__file__).parents[2]


def refused(cwd: Path, *arguments: object, script: str = "search.py") -> str:
    """The error that a script ends with; it must leave nothing new behind."""
    before = sorted(cwd.rglob("*"))
    command = [sys.executable, str(ROOT / "scripts" / script), *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, text=True, capture_output=True, timeout=300)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(cwd.rglob("*")) == before
    return " ".join(done.stderr.split())


@pytest.mark.parametrize("script", sorted(ROOT.glob("scripts/*.py")), ids=lambda script: script.stem)
def test_all_that_a_script_does_ends_in_words(script: Path) -> None:
    """`reported` turns any error into a line, the place of its traceback and what to try."""
    main = next(node for node in ast.parse(script.read_text()).body if getattr(node, "name", "") == "main")
    assert isinstance(main, ast.FunctionDef)
    _, block, *rest = main.body  # a docstring first
    assert isinstance(block, ast.With)
    assert ast.unparse(block.items[0].context_expr) == "reported()"
    calls = {ast.unparse(call.func) for node in rest for call in ast.walk(node) if isinstance(call, ast.Call)}
    assert calls <= {"print", "sys.exit", "out.stat"}


def test_a_keras_that_is_set_up_for_something_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    for script, arguments in {
        "search.py": ("--data", "digits"),
        "export.py": ("runs/one",),
        "predict.py": ("model.keras", "image.png"),
        "serve.py": ("model.keras",),
        "pretrain.py": ("--data", "digits"),
    }.items():
        error = refused(tmp_path, *arguments, script=script)
        assert error == "Error: KERAS_BACKEND torch: must be one of tensorflow, jax, with which trials are trained"


def test_repeat_and_resume_are_two_things(tmp_path: Path) -> None:
    error = refused(tmp_path, "--resume", "--repeat", "one:1")
    assert error.startswith("Error: --repeat one:1 and --resume: one trains a trial once more, the other goes on")


def test_no_such_folder(tmp_path: Path) -> None:
    error = refused(tmp_path, "--space", "custom_cnn", "--data", "nowhere")
    assert error == "Error: --data nowhere: no such folder; give cifar10, digits, or a folder with a subfolder a class"


def test_a_file_that_is_no_arrays(tmp_path: Path) -> None:
    (tmp_path / "mine.npz").write_bytes(b"PK\x03\x04 cut off")
    error = refused(tmp_path, "--space", "custom_cnn", "--data", "mine.npz")
    assert "Error: --data mine.npz: is no .npz file of arrays, or a damaged one (" in error


def test_runs_among_the_images(folder: Path) -> None:
    error = refused(folder, "--space", "custom_cnn", "--data", ".")
    assert error == "Error: --storage runs: must not lie inside --data .: runs are no images"


def test_a_class_with_too_few_images(folder: Path) -> None:
    for file in sorted((folder / "dogs").iterdir())[5:]:
        file.unlink()
    assert "class 'dogs' has 5 images" in refused(folder.parent, "--space", "custom_cnn", "--data", folder)


def test_an_image_that_does_not_decode_under_strict(folder: Path) -> None:
    for file in sorted((folder / "dogs").iterdir()):
        file.write_bytes(b"broken")
    error = refused(folder.parent, "--space", "custom_cnn", "--data", folder, "--strict")
    assert "--strict: an image does not decode: " in error
    assert "dogs/" in error


def test_weights_of_another_architecture(tmp_path: Path) -> None:
    file = tmp_path / "vgg.weights.h5"
    keras.applications.VGG16(include_top=False, weights=None, input_shape=(32, 32, 3)).save_weights(file)
    error = refused(tmp_path, "--data", "digits", "--weights", file, "--backbones", "mobilenet")
    assert "vgg.weights.h5 does not hold the weights of mobilenet" in error


def test_unknown_names_list_what_is_allowed(tmp_path: Path) -> None:
    assert "vgg19 is not among the available ones (did you mean vgg16?): mobilenet, " in refused(
        tmp_path, "--backbones", "vgg19,vgg16"
    )
    assert "use custom_cnn, finetune or PACKAGE.MODULE:NAME" in refused(tmp_path, "--space", "cnn", "--data", "digits")
    assert "must be one of asha, none" in refused(tmp_path, "--scheduler", "median")


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        (
            {"layers": 3},
            "configuration 2: unknown hyperparameter 'layers' (did you mean dense_layers?); this space has ",
        ),
        ({"blocks": 9}, "configuration 2: hyperparameter 'blocks' is 9 but must be a whole number from 1 to 5"),
    ],
)
def test_a_configuration_that_does_not_fit(tmp_path: Path, configuration: dict[str, int], message: str) -> None:
    (tmp_path / "configs.json").write_text(json.dumps([{}, configuration]))
    error = refused(tmp_path, "--space", "custom_cnn", "--data", "digits", "--configs", "configs.json")
    assert message in error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--recipes", "m4"), "--recipes m4: there is no such recipe; --list-recipes shows 000-cnn, "),
        (("--recipes", "004-m7"), "--recipes 004-m7 belongs to --space finetune; those of custom_cnn are 000-cnn, "),
        (("--recipes", "all"), "--recipes: 4 configurations, but --trials is 3: they count "),
        (("--recipes", "004-m4", "--fix", "filters=16"), "--recipes: recipe 004-m4 does not fit here: hyperparameter "
         "'filters' is 32 but must be 16"),
        (("--fix", "filters"), "--fix 'filters' must be NAME=VALUE"),
        (("--fix", "filters=20"), "--fix filters=20: must be one of 16, 32, 64"),
        (("--fix", "filter=16"), "--fix filter: unknown hyperparameter (did you mean filters?); this space has "),
        (("--backbones", "vgg16"), "--backbones vgg16: belongs to --space finetune, not to custom_cnn"),
        (("--fix", "colour=red"), "--fix colour: unknown hyperparameter; this space has augmentation, "),
    ],
)  # fmt: skip
def test_recipes_and_fixed_values_that_do_not_fit(tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    assert message in refused(tmp_path, "--space", "custom_cnn", "--data", "digits", "--trials", 3, *options)


def test_a_recipe_at_an_image_size_that_it_cannot_take(tmp_path: Path) -> None:
    error = refused(tmp_path, "--data", "digits", "--image-size", 128, "--weights", "none", "--recipes", "004-m7")
    assert (
        "--recipes: recipe 004-m7 does not fit here: hyperparameter 'image_size' is 96 but must be one of 128" in error
    )


def test_the_bundled_backbone_is_not_validated_on_what_it_has_seen(tmp_path: Path) -> None:
    for name in CLASSES:
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(8):
            Image.new("RGB", (32, 32), (number, 0, 0)).save(tmp_path / "images" / name / f"{number}.png")
    assert "it was trained on CIFAR-10" in refused(tmp_path, "--data", "images", "--backbones", "cifar_cnn")


def test_a_model_without_a_hyperparameter(tmp_path: Path) -> None:
    (tmp_path / "theirs.py").write_text((ROOT / "tests" / "search_spaces" / "kerastuner_users.py").read_text())
    (tmp_path / "broken.py").write_text("def build(hp):\n    return hp.Int('a', 1, 2) + keras\n")
    error = refused(tmp_path, "--space", "broken:build", "--data", "digits", "--image-size", 16)
    assert "cannot be built: NameError: name 'keras' is not defined (broken.py, line 2)" in error
    error = refused(tmp_path, "--space", "theirs:build_nothing", "--data", "digits", "--image-size", 16)
    assert (
        "--space theirs:build_nothing declares no hyperparameter, so there is nothing to search: its build(hp)" in error
    )


def test_a_run_that_exists(tmp_path: Path) -> None:
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    error = refused(tmp_path, "--space", "custom_cnn", "--data", "digits", "--name", "mine")
    assert "runs/mine exists already and is empty; delete that folder, or choose another name" in error
    (tmp_path / "runs" / "mine" / "study.json").write_text("{}")
    error = refused(tmp_path, "--space", "custom_cnn", "--data", "digits", "--name", "mine")
    assert "--name mine: " in error
    assert "exists already; choose another name, or go on with it by --resume" in error


def test_no_write_permission(tmp_path: Path) -> None:
    storage = tmp_path / "closed"
    storage.mkdir()
    if os.geteuid() == 0:  # root may write anywhere: a file in the way is refused to root too
        storage.rmdir()
        storage.write_text("a file where a folder is needed")
    else:
        storage.chmod(0o500)
    error = refused(tmp_path, "--space", "custom_cnn", "--data", "digits", "--storage", storage)
    assert f"--storage {storage}: cannot write there" in error


def test_more_gpus_than_there_are(tmp_path: Path) -> None:
    error = refused(tmp_path, "--space", "custom_cnn", "--data", "digits", "--gpus-per-trial", 64)
    assert re.search(r"--gpus-per-trial 64: (no machine has a GPU that Ray sees|.* GPUs; ask for at most that)", error)


def test_what_is_no_run_and_no_model(tmp_path: Path) -> None:
    for script in ("report.py", "export.py"):
        assert "is not a run directory: it has no study.json" in refused(tmp_path, "nothing", script=script)
    (tmp_path / "model.keras").write_text("no model")
    (tmp_path / "image.png").write_text("no image")
    error = refused(tmp_path, "model.keras", "image.png", script="predict.py")
    assert "model.keras is not a model that Keras can load" in error


def test_the_front_door_without_internet(tmp_path: Path) -> None:
    """Three lines: the images, the weights, and a command that works."""
    closed = os.environ | {"HOME": str(tmp_path), "KERAS_HOME": str(tmp_path), "https_proxy": "http://127.0.0.1:9"}
    command = [sys.executable, str(ROOT / "scripts" / "search.py"), "--space", "finetune"]
    done = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True, timeout=300, env=closed)
    assert done.returncode == 2
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("Error: CIFAR-10 is neither in ")
    assert lines[1].startswith("the ImageNet weights of mobilenet, mobilenet_v2, mobilenet_v3_small, ")
    assert lines[2] == "this works now: python scripts/search.py --space finetune --data digits"
    assert not (tmp_path / "runs").exists()
