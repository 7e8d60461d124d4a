"""The records of earlier runs that a study is to know."""

from pathlib import Path

from results.paths import RunPaths
from results.records import StudyRecord, TrialRecord, read_study, read_trials
from results.remote import existing_run
from results.run_files import is_uri
from search_spaces.errors import UserError
from tuner.config import StudyConfig


def earlier_runs(config: StudyConfig) -> list[tuple[RunPaths, StudyRecord, list[TrialRecord]]]:
    """The records of the runs of --warm-start, each a name in --storage or a folder, and each once.

    Raises:
        UserError: no such run, or a damaged record.
    """
    found = {}
    for run in config.warm_start:
        place = RunPaths.place_of(run, config.storage)
        if not (is_uri(place) or Path(place).is_dir()):
            raise UserError(
                f"--warm-start {run}: there is no run of that name in {config.storage}, and no folder {run}; "
                "give names there, or paths of run directories"
            )
        try:
            paths = existing_run(place)
            found[paths.root] = paths, _checked(read_study(paths)), read_trials(paths)
        except UserError as error:
            raise UserError(f"--warm-start {run}: {error}; leave that run out") from error
    return list(found.values())


def _checked(study: StudyRecord) -> StudyRecord:
    """Has what its types do not say."""
    epochs = study.options.get("max_epochs")
    if not isinstance(epochs, int):
        raise UserError(f"its study.json has max_epochs {epochs!r}, which must be a whole number")
    return study
