"""What to try next, from what is known at each rung."""

import math
import random
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from search_spaces.configuration import Configuration, configuration_key
from search_spaces.hyperparameter import Hyperparameter
from tuner.proposal.enumeration import every_configuration
from tuner.proposal.failures import FAILED, Survival
from tuner.proposal.feasibility import Feasibility
from tuner.proposal.neighbours import at_random, neighbour
from tuner.proposal.rung_chain import ENOUGH, RungChain
from tuner.proposal.rung_view import RungView
from tuner.proposal.suggestion import Suggestions

MINDS = {"chain": 0.50, "near": 0.20, "rung": 0.15, "random": 0.15}
ELITE = 5
"""Of so many best configurations one is chosen to look around."""
TRIES = 50
"""Proposals that are made until one is new and welcome; then a small finite space is looked through."""
CANDIDATES = 32
"""Neighbours that are compared at a time."""
DRAWS = 32
"""Random draws at most until one is guessed to be within the study's limits; then the nearest to them is taken."""
HOPS = 4
"""Rounds: after the first one it is the best candidate's own neighbours that are compared with it."""


class Proposer:
    """Proposes configurations of one space, none twice.

    No way to propose is best on all problems, so several do, in turns drawn by lot (`MINDS`): of many neighbours of the
    best, the one that Gaussian processes on all rungs expect most of; any neighbour of one of the best; TPE on the
    scores at the highest rung that has `ENOUGH` of them; a draw at random. The same trials and proposals before
    give the same proposal. Measured in benchmarks/search_quality, docs/searcher.md.
    """

    def __init__(
        self,
        space: Sequence[Hyperparameter],
        rungs: Sequence[int],
        seed: int,
        limits: Mapping[str, float] | None = None,
    ) -> None:
        """Begin without trials.

        Args:
            space: whose configurations.
            rungs: epochs at which trials are compared, the last one included.
            seed: of all that is drawn.
            limits: the most that a model may have of some measures (see `Feasibility`).
        """
        self._space = space
        self._seed = seed
        self._feasibility = Feasibility(space, limits or {})
        self._survival = Survival(space)
        self._suggestions = Suggestions(space)
        self._views = {rung: RungView(self._suggestions) for rung in sorted(rungs)}
        self._chain = RungChain(space, rungs)
        self._best: dict[int, float] = {}
        """Of each trial that runs, its best accuracy so far."""
        self._open: dict[int, list[int]] = {}
        """Of each trial that runs, the rungs that it has not reached."""
        self._running: dict[int, Configuration] = {}
        self._known: set[tuple[tuple[str, object], ...]] = set()
        self._every = every_configuration(space)

    def knows(self, configuration: Configuration) -> bool:
        """Whether it is or was tried."""
        return configuration_key(configuration) in self._known

    def leave_out(self, configuration: Configuration) -> None:
        """Propose it never: somebody else tries it, or is about to."""
        self._known.add(configuration_key(configuration))

    def begin(self, trial: int, configuration: Configuration) -> None:
        """A trial runs; what is proposed from now on is different."""
        self._known.add(configuration_key(configuration))
        self._best[trial] = FAILED
        self._open[trial] = list(self._views)
        self._running[trial] = configuration
        running = self._suggestions.trial(configuration)
        for view in self._views.values():
            view.begin(trial, running)
        self._chain.begin(trial, configuration)

    def report(self, trial: int, epoch: int, accuracy: float) -> None:
        """It has validated; its score at a rung is the best by then."""
        self._best[trial] = max(self._best[trial], accuracy)
        for rung in [rung for rung in self._open[trial] if rung <= epoch]:
            self._close(trial, rung, self._best[trial])

    def measure(self, configuration: Configuration, measured: Mapping[str, float | None]) -> None:
        """Its model was built, and has so much of what is limited."""
        self._feasibility.observe(configuration, measured)

    def end(self, trial: int, is_done: bool = False, has_failed: bool = False, is_infeasible: bool = False) -> None:
        """It is over. One that is done (it ended by itself) would not score better later; one that failed, at all."""
        score = self._best[trial] if is_done else FAILED if has_failed or is_infeasible else None
        for rung in list(self._open[trial]):
            self._close(trial, rung, score)
        configuration = self._running.pop(trial)
        # What is infeasible can be guessed better; and one without a score that has not failed lost its worker.
        if has_failed or self._best[trial] > FAILED:
            self._survival.count(configuration, has_failed)
        del self._open[trial], self._best[trial]
        self._chain.end(trial)

    def propose(
        self, trial: int, is_welcome: Callable[[Configuration], bool] = lambda configuration: True
    ) -> Configuration | None:
        """The configuration of the trial with that number; None if nothing new and welcome was found."""

        def is_new(configuration: Configuration) -> bool:
            return not self.knows(configuration) and is_welcome(configuration)

        rng = random.Random(f"{self._seed} {trial}")
        for turn in range(TRIES):
            proposed = self._proposed(rng, is_welcome) if turn < TRIES / 2 else self._drawn(rng)
            if is_new(proposed):
                return proposed
        left = [one for one in self._every or () if is_new(one)]
        return rng.choice(left) if left else None

    def around(
        self, trial: int, configuration: Configuration, is_welcome: Callable[[Configuration], bool]
    ) -> Configuration | None:
        """A neighbour of that configuration for the trial with that number; None if none was new and welcome."""
        rng = random.Random(f"{self._seed} around {trial}")
        tried = (self._likely(lambda: neighbour(self._space, configuration, rng), rng) for _ in range(TRIES))
        return next((one for one in tried if not self.knows(one) and is_welcome(one)), None)

    def _proposed(self, rng: random.Random, is_welcome: Callable[[Configuration], bool]) -> Configuration:
        (mind,) = rng.choices(list(MINDS), list(MINDS.values()))
        view = next((view for view in reversed(self._views.values()) if view.results >= ENOUGH), None)
        if view is None or mind == "random":
            return self._drawn(rng)
        if mind == "rung":
            return view.propose(rng.getrandbits(32))
        best = view.best(ELITE)
        if mind == "near":
            return self._likely(lambda: neighbour(self._space, rng.choice(best), rng), rng)
        return self._promising(best, rng, is_welcome)

    def _drawn(self, rng: random.Random) -> Configuration:
        return self._likely(lambda: at_random(self._space, rng), rng)

    def _likely(self, draw: Callable[[], Configuration], rng: random.Random) -> Configuration:
        """One of many draws that is within the study's limits and not where trials fail, as far as that can be guessed.

        The first one that is, or the nearest to the limits that survives best.
        """
        found: Configuration = {}
        least = math.inf, 0.0
        for _ in range(DRAWS):
            drawn = draw()
            excess, survival = self._feasibility.excess(drawn), self._survival.rate(drawn)
            if (excess, -survival) < least:
                found, least = drawn, (excess, -survival)
            if not excess and (survival == 1 or rng.random() < survival):
                return drawn
        return found

    def _promising(
        self, best: Sequence[Configuration], rng: random.Random, is_welcome: Callable[[Configuration], bool]
    ) -> Configuration:
        """Uphill from the best, by what the chain expects.

        An improvement that may not survive counts as much less (Gelbart, Snoek and Adams, 2014, "Bayesian Optimization
        with Unknown Constraints": expected improvement times the probability of success).
        """
        found, gain = best[0], -math.inf
        for _ in range(HOPS):
            candidates = [neighbour(self._space, rng.choice(best), rng) for _ in range(CANDIDATES)]
            candidates = [one for one in candidates if not self.knows(one)]
            gains = self._chain.gains(candidates) if candidates else np.empty(0)
            gains += np.log([self._survival.rate(one) for one in candidates])
            # In this order, because to ask whether one is welcome takes as long as to guess its gain.
            falling = np.argsort(-gains, kind="stable")
            highest = next((place for place in falling if gains[place] > gain and is_welcome(candidates[place])), None)
            if highest is not None:
                found, gain = candidates[highest], gains[highest]
            best = [found]
        return found

    def _close(self, trial: int, rung: int, score: float | None) -> None:
        self._open[trial].remove(rung)
        self._views[rung].end(trial, score)
        if score is not None:
            self._chain.score(trial, rung, score)
