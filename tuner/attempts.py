"""Trials as Ray Tune's searchers hand them out: each as often as it takes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ray.tune.search import Searcher

from search_spaces.configuration import Configuration
from tuner.retries import Retries


@dataclass
class Attempt:
    """A trial that is to run, or runs."""

    number: int
    configuration: Configuration
    given: dict[str, Any] = field(default_factory=dict)
    """What else `WarmTrial` is to know of it."""
    accuracies: dict[int, float] = field(default_factory=dict)
    """Validation accuracies of its epochs so far, from whatever worker."""
    is_drawn: bool = False
    """Whether the searcher chose its configuration in this session, so that it may be ended for a better one."""
    failure: str | None = None
    """Why it has to run once more, alone."""

    @property
    def config(self) -> dict[str, Any]:
        """As `WarmTrial` wants it."""
        alone = {"alone": True} if self.failure else {}
        return {"trial": self.number, "configuration": self.configuration} | self.given | alone


class AttemptSearcher(Searcher):
    """Suggests the given trials, at most `concurrency` at a time; those that `allows` refuses by then are left out.

    One whose worker was lost is suggested again at once, unless `retries` says otherwise; one whose result says "again"
    when all others have ended, so that it is alone. Both go on from their checkpoints.
    """

    def __init__(
        self,
        attempts: Sequence[Attempt],
        concurrency: Callable[[], int],
        retries: Retries,
        allows: Callable[[Attempt], bool] = lambda attempt: True,
    ) -> None:
        super().__init__(metric="val_accuracy", mode="max")
        self._allows = allows
        self._waiting = [attempt for attempt in attempts if not attempt.failure]
        self._again = [attempt for attempt in attempts if attempt.failure]
        self._concurrency = concurrency
        self._retries = retries
        self._running: dict[str, Attempt] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        if len(self._running) >= self._concurrency():
            return None
        self._waiting = list(filter(self._allows, self._waiting))
        attempt = self._waiting.pop(0) if self._waiting else self._new()
        if attempt is None and self._running:
            return None
        if attempt is None and (attempt := self._next_again()) is None:
            return Searcher.FINISHED  # type: ignore[return-value]  # as Ray documents it
        self._running[trial_id] = attempt
        return attempt.config

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Nothing is learned."""

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        if trial_id not in self._running:
            return
        result = result or {}
        if not error:
            self.on_trial_result(trial_id, result)  # a trial's last result comes to this call alone
        attempt = self._running.pop(trial_id)
        if error:
            self._retries.count(attempt.number)
        if error and self._retries.allows(attempt.number):
            self._waiting.insert(0, attempt)
        elif result.get("again"):
            attempt.failure = result["failure"]
            self._again.append(attempt)
        else:
            self._end(attempt, result, error)

    def _new(self) -> Attempt | None:
        """A trial that nobody has given; None if there is none now."""
        return None

    def _next_again(self) -> Attempt | None:
        """The next one that is to run alone."""
        return self._again.pop(0) if self._again else None

    def _end(self, attempt: Attempt, result: dict[str, Any], is_lost: bool) -> None:
        """It is over, by its last result or because it lost too many workers."""
