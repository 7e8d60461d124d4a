"""Which precision `auto` stands for, and that it is found out once."""

import json
from pathlib import Path

import pytest

from tuner.trial import precision


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(precision, "MEMORY", tmp_path / "cache" / "precision.json")
    return tmp_path / "cache" / "precision.json"


def test_it_is_measured_once_and_remembered(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = precision.fastest()
    (machine,) = json.loads(memory.read_text())
    seconds = json.loads(memory.read_text())[machine]
    assert all(value > 0 for value in seconds.values())
    assert (found == "bfloat16") == (seconds["float32"] >= precision.LEAST_GAIN * seconds["bfloat16"])
    monkeypatch.setattr(precision, "_measured", lambda: pytest.fail("measured again"))
    assert precision.fastest() == found


@pytest.mark.parametrize(
    ("seconds", "faster"),
    [((2.0, 1.0), "bfloat16"), ((1.0, 2.0), "float32"), ((1.05, 1.0), "float32")],
)
def test_the_clearly_faster_one_is_chosen(
    seconds: tuple[float, float], faster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "_measured", lambda: {"float32": seconds[0], "bfloat16": seconds[1]})
    assert precision.fastest() == faster


@pytest.mark.parametrize("content", ["", "{", "[]", '{"this machine": {"float32": "fast"}}'])
def test_a_damaged_memory_is_measured_anew(content: str, memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory.parent.mkdir()
    memory.write_text(content)
    monkeypatch.setattr(precision, "_measured", lambda: {"float32": 2.0, "bfloat16": 1.0})
    assert precision.fastest() == "bfloat16"
    assert len(json.loads(memory.read_text())) == 1


def test_a_memory_that_cannot_be_kept_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(precision, "MEMORY", tmp_path / "file" / "precision.json")
    monkeypatch.setattr(precision, "_measured", lambda: {"float32": 1.0, "bfloat16": 1.0})
    assert precision.fastest() == "float32"
