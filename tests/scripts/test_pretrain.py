"""python scripts/pretrain.py, as it is typed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from search_spaces.backbones import find_weights, without_weights

ROOT = Path(__file__).parents[2]


def run(cwd: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "pretrain.py"), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)


def test_it_writes_weights_that_a_search_can_start_from(tmp_path: Path) -> None:
    done = run(tmp_path, "--data", "digits", "--epochs", 1, "--seed", 3, "--out", "own.npz")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("digits: 1257 training and 270 validation images of 10 classes")
    assert "own.npz: 0.61 MB, validation accuracy " in done.stdout
    assert "--backbones cifar_cnn --weights own.npz" in done.stdout
    assert "oneDNN" not in done.stderr
    facts = json.loads((tmp_path / "own.json").read_text())
    assert (facts["data"], facts["seed"], facts["epochs"], facts["images"]["training"]) == ("digits", 3, 1, 1257)
    assert facts["configuration"]["residual"] is True
    assert without_weights(find_weights(str(tmp_path / "own.npz"), ["cifar_cnn"])) == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--out", "own.h5"), "Error: --out own.h5: must end in .npz"),
        (("--out", "nowhere/own.npz"), "Error: --out nowhere/own.npz: nowhere is not a folder that can be written to"),
        (("--data", "nowhere", "--out", "own.npz"), "Error: --data nowhere: no such folder"),
        (
            ("--precision", "float16", "--out", "own.npz"),
            "Error: --precision float16: must be one of float32, bfloat16",
        ),
    ],
)
def test_what_cannot_be_trained_or_written_ends_at_once(tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    done = run(tmp_path, *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
