"""Packages that only some options need."""

import importlib.util

from search_spaces.errors import UserError
from tuner.config import StudyConfig


def check_extras(config: StudyConfig) -> None:
    """See that what the options need is installed.

    Raises:
        UserError: it is not; the error says how to install it.
    """
    wanted = {"monitor": (config.monitor, "optuna_dashboard"), "mlflow": (config.mlflow, "mlflow")}
    for extra, (is_asked, module) in wanted.items():
        if is_asked and importlib.util.find_spec(module) is None:
            raise UserError(f"--{extra} needs a package that is not installed: pip install 'thaw-tuner[{extra}]'")
