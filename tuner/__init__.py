"""The Python interface: `run_study(StudyConfig(...))` searches and gives a `Study`, which reads what was found.

`resume_study` goes on with a run, `run_finalists` trains its best configurations again, and `Study.open("runs/NAME")`
reads one that is there. `UserError` is raised for whatever a user can put right. docs/python.md is the guide.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search_spaces.errors import UserError
    from tuner.config import StudyConfig
    from tuner.found import Study
    from tuner.study import resume_study, run_finalists, run_study

__all__ = ["Study", "StudyConfig", "UserError", "resume_study", "run_finalists", "run_study"]

_HOMES = {
    "Study": "tuner.found",
    "StudyConfig": "tuner.config",
    "UserError": "search_spaces.errors",
    "resume_study": "tuner.study",
    "run_finalists": "tuner.study",
    "run_study": "tuner.study",
}
"""Imported when they are asked for: workers and scripts import this package too, for one module of it."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
