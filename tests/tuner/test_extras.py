"""An option whose package is missing says so before anything begins."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from search_spaces.errors import UserError
from tuner.config import StudyConfig
from tuner.study import run_study


@pytest.mark.parametrize(
    ("options", "package"),
    [({"monitor": True}, "optuna_dashboard"), ({"mlflow": "sqlite:///mlflow.db"}, "mlflow")],
)
def test_a_missing_package_is_named_and_no_run_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], package: str
) -> None:
    known = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else known(name))
    (option,) = options
    config = StudyConfig(data="digits", storage=tmp_path / "runs", **options)
    with pytest.raises(UserError, match=rf"--{option} needs a package .*: pip install 'thaw-tuner\[{option}\]'"):
        run_study(config)
    assert not (tmp_path / "runs").exists()
