"""The records of earlier runs that a study is to know."""

from pathlib import Path

from results.paths import RunPaths
from results.records import StudyRecord, TrialRecord, read_study, read_trials
from search_spaces.errors import UserError
from tuner.config import StudyConfig


def earlier_runs(config: StudyConfig) -> list[tuple[RunPaths, StudyRecord, list[TrialRecord]]]:
    """The records of the runs of --warm-start, each a name in --storage or a folder.

    Raises:
        UserError: no such run, or a damaged record.
    """
    found = []
    for run in config.warm_start:
        named = config.storage.expanduser() / run
        try:
            paths = RunPaths.existing(named if named.is_dir() else Path(run))
            found.append((paths, read_study(paths), read_trials(paths)))
        except UserError as error:
            raise UserError(f"--warm-start {run}: {error}") from error
    return found
