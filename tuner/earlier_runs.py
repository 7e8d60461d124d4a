"""The records of earlier runs that a study is to know."""

from pathlib import Path

from results.paths import RunPaths
from results.records import StudyRecord, TrialRecord, read_study, read_trials
from search_spaces.errors import UserError
from tuner.config import StudyConfig


def earlier_runs(config: StudyConfig) -> list[tuple[RunPaths, StudyRecord, list[TrialRecord]]]:
    """The records of the runs of --warm-start, each a folder or a name in --storage.

    Raises:
        UserError: no such run, or a damaged record.
    """
    found = []
    for run in config.warm_start:
        folder = Path(run) if Path(run).is_dir() else config.storage / run
        try:
            paths = RunPaths.existing(folder)
            found.append((paths, read_study(paths), read_trials(paths)))
        except UserError as error:
            raise UserError(f"--warm-start {run}: {error}") from error
    return found
