"""The few best models of a study, each at its best epoch, whatever the number of trials.

Any machine of a cluster may add one, and there is no lock: a model is named by its trial and epoch and never changes,
and what is kept follows from all that are there. One counts from when its `.json` is there, which comes after the
model; what is not among the best is taken away by whoever sees it. So of all models that were offered the best are
kept, in whatever order they came: one is only taken away while enough better ones are there.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from results.paths import trial_name
from results.run_files import DiskFiles, RunFiles
from search_spaces.errors import UserError

NAMED = re.compile(r"trial-\d{4,}-epoch-\d{2,}\.json")


@dataclass(frozen=True)
class SavedModel:
    """One kept model."""

    trial: int
    epoch: int
    val_accuracy: float
    result: dict[str, float]
    """All that the trial reported of that epoch: a study may end before the report arrives."""

    @property
    def file(self) -> str:
        """The model's name."""
        return f"{self.name}.keras"

    @property
    def name(self) -> str:
        """Of its two files, without their endings."""
        return f"{trial_name(self.trial)}-epoch-{self.epoch:02d}"


_SAVED = TypeAdapter(SavedModel)


class BestModels:
    """The models kept in a folder, one a trial, and at most `keep` of them once one more is offered."""

    def __init__(self, files: RunFiles | Path, keep: int | None = None) -> None:
        self._files = DiskFiles(files) if isinstance(files, Path) else files
        self._keep = keep
        self._known: dict[str, SavedModel] = {}

    def ranked(self) -> list[SavedModel]:
        """What is kept, best first; of equals the lower trial number leads.

        Raises:
            UserError: what is told of one is damaged, or is of another file.
        """
        return self._best(self._all())

    def offer(self, trial: int, result: dict[str, float], save: Callable[[Path], None]) -> bool:
        """Keep the model if it is among the best; `save` is called with the path to write it to. Says whether it was.

        `result` is of the epoch that it has just finished, with "epoch" and "val_accuracy".
        """
        candidate = SavedModel(trial, int(result["epoch"]), result["val_accuracy"], result)
        if candidate not in self._best([*self._all(), candidate]):
            return False
        with self._files.writing(candidate.file) as path:  # keeps the ending, by which Keras tells the format
            save(path)
        with self._files.writing(f"{candidate.name}.json") as path:
            path.write_bytes(_SAVED.dump_json(candidate, indent=2) + b"\n")
        return candidate in self._tidied()

    def _tidied(self) -> list[SavedModel]:
        found = self._all()
        kept = self._best(found)
        for one in found:
            if one not in kept:
                self._files.remove(f"{one.name}.json")
                self._files.remove(one.file)
        return kept

    def _best(self, models: Iterable[SavedModel]) -> list[SavedModel]:
        own: dict[int, SavedModel] = {}
        for one in sorted(models, key=lambda model: (-model.val_accuracy, model.epoch)):
            own.setdefault(one.trial, one)
        return sorted(own.values(), key=lambda model: (-model.val_accuracy, model.trial))[: self._keep]

    def _all(self) -> list[SavedModel]:
        there = [name for name in self._files.names() if NAMED.fullmatch(name)]
        self._known = {name: self._known[name] for name in there if name in self._known}
        for name in there:
            if name not in self._known and (found := self._read(name)) is not None:
                self._known[name] = found
        return list(self._known.values())

    def _read(self, name: str) -> SavedModel | None:
        """None if another has just taken it away."""
        with self._files.reading(name) as path:
            if path is None:
                return None
            try:
                found = _SAVED.validate_json(path.read_bytes())
            except FileNotFoundError:
                return None
            except ValidationError as error:
                problem = error.errors()[0]["msg"]
                raise UserError(
                    f"{name} among the best models cannot be understood: {problem}. It is damaged"
                ) from error
        if name != f"{found.name}.json":
            raise UserError(f"{name} among the best models is of {found.file}: do not trust it")
        return found
