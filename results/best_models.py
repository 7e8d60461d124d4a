"""The few best models of a study, each at its best epoch, whatever the number of trials.

Trials on one machine share the folder: `index.json` says what is in it and is changed under a lock.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from pydantic import TypeAdapter, ValidationError

from results.paths import trial_name
from results.whole_file import put, unfinished, write_text
from search_spaces.errors import UserError


@dataclass(frozen=True)
class SavedModel:
    """One kept model."""

    trial: int
    epoch: int
    val_accuracy: float
    file: str
    result: dict[str, float]
    """All that the trial reported of that epoch: a study may end before the report arrives."""


_INDEX = TypeAdapter(list[SavedModel])


class BestModels:
    """The models kept in `folder`, at most `keep` of them and one a trial."""

    def __init__(self, folder: Path, keep: int = 3) -> None:
        self.folder = folder
        self.keep = keep
        self._index = folder / "index.json"

    def ranked(self) -> list[SavedModel]:
        """What is kept, best first.

        Raises:
            UserError: the index is damaged, or names a file that this class would not have written.
        """
        if not self._index.is_file():
            return []
        try:
            found = _INDEX.validate_json(self._index.read_bytes())
        except ValidationError as error:
            raise UserError(f"{self._index} cannot be understood: {error.errors()[0]['msg']}. It is damaged") from error
        for model in found:
            if model.file != _file(model.trial):
                raise UserError(
                    f"{self._index} names {model.file!r} where {_file(model.trial)} should be: do not trust it"
                )
        return found

    def offer(self, trial: int, result: dict[str, float], save: Callable[[Path], None]) -> bool:
        """Keep the model if it is among the best; `save` is called with the path to write it to. Says whether it was.

        `result` is of the epoch that it has just finished, with "epoch" and "val_accuracy".

        Saving happens outside the lock, so that trials do not wait for one another; the rank is checked again after.
        """
        candidate = SavedModel(trial, int(result["epoch"]), result["val_accuracy"], _file(trial), result)
        if candidate not in self._with(candidate):
            return False
        self.folder.mkdir(exist_ok=True)
        temporary = unfinished(self.folder / candidate.file)  # keeps the ending, by which Keras tells the format
        try:
            save(temporary)
            with FileLock(self.folder / ".lock"):
                return self._admit(candidate, temporary)
        finally:
            temporary.unlink(missing_ok=True)

    def _admit(self, candidate: SavedModel, saved: Path) -> bool:
        kept = self._with(candidate)
        if candidate not in kept:
            return False
        put(saved, self.folder / candidate.file)
        write_text(self._index, _INDEX.dump_json(kept, indent=2).decode() + "\n")
        wanted = {model.file for model in kept}
        for file in self.folder.glob("trial-*.keras"):
            if file.name not in wanted:
                file.unlink()
        return True

    def _with(self, candidate: SavedModel) -> list[SavedModel]:
        """What would be kept if the candidate came in; of equals the lower trial number leads."""
        rivals = self.ranked()
        own = next((model for model in rivals if model.trial == candidate.trial), None)
        if own and own.val_accuracy >= candidate.val_accuracy:
            return rivals
        others = [model for model in rivals if model.trial != candidate.trial]
        return sorted([*others, candidate], key=lambda model: (-model.val_accuracy, model.trial))[: self.keep]


def _file(trial: int) -> str:
    return f"{trial_name(trial)}.keras"
