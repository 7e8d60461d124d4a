"""How long the product's searcher takes for a proposal, with its journal on disk, as the study grows.

    python -m benchmarks.search_quality.proposal_time

Trials of `finetune` with four reports each, most stopped at a rung; an accuracy is drawn from what is configured.
"""

import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import optuna

from benchmarks.side import write_table
from search_spaces.declaration import declared
from search_spaces.finetune import FineTune
from search_spaces.task import Task
from tuner.clock import StudyClock
from tuner.config import StudyConfig
from tuner.ending import Ending
from tuner.journal import create_study
from tuner.ledger import Ledger
from tuner.proposal.deadline import Deadline
from tuner.proposal.proposer import Proposer
from tuner.proposal.suggestion import Suggestions
from tuner.retries import Retries
from tuner.scheduler import rungs
from tuner.searcher import StudySearcher

SIZES = (100, 1_000, 10_000)
TIMED = 100
"""Proposals at each size."""
BACKBONES = ("mobilenet", "mobilenet_v2", "resnet50", "vgg16")


def main() -> None:
    """Grow one study."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    config = StudyConfig()
    space = declared(FineTune(Task(96, 10, 1000, config.max_epochs), dict.fromkeys(BACKBONES)))
    study = create_study(Path(tempfile.mkdtemp()) / "study.journal", "s")
    clock = StudyClock()
    proposer, deadline = Proposer(space, rungs(config), seed=0), Deadline(space, 1, 1e9, 4, clock)
    trials, retries, ending = SIZES[-1] + TIMED, Retries(0), Ending(clock)
    suggestions = Suggestions(space)
    ledger = Ledger(study, suggestions, ending)
    searcher = StudySearcher(ledger, suggestions, proposer, deadline, [], config.max_epochs, lambda: 4, trials, retries)
    rows = [["finished trials", "milliseconds for a proposal: median", "99 of 100", "of the whole searcher, a trial"]]
    rng, times, wholes = random.Random(0), [], []
    for number in range(SIZES[-1] + TIMED):
        began = time.perf_counter()
        suggestion = searcher.suggest(str(number))
        times.append(1000 * (time.perf_counter() - began))
        assert isinstance(suggestion, dict)
        finish(searcher, str(number), suggestion["configuration"], rng)
        wholes.append(1000 * (time.perf_counter() - began))
        if number + 1 - TIMED in SIZES:
            latest = sorted(times[-TIMED:])
            whole = statistics.median(wholes[-TIMED:])
            rows.append(
                [f"{number + 1 - TIMED:,}", f"{statistics.median(latest):.1f}", f"{latest[-2]:.1f}", f"{whole:.1f}"]
            )
    write_table("proposal_time", "Time for a proposal, journal on disk included.", rows)


def finish(searcher: StudySearcher, trial: str, configuration: dict[str, Any], rng: random.Random) -> None:
    """Train on paper."""
    accuracy = 0.3 + 0.4 * (configuration["backbone"] == "mobilenet") + 0.2 * rng.random()
    last = rng.choices((1, 3, 9, 20), (60, 25, 10, 5))[0]
    for epoch in range(1, last + 1):
        found = {"epoch": epoch, "val_accuracy": accuracy - 0.1 / epoch, "time_total_s": 10.0 * epoch}
        searcher.on_trial_result(trial, found)
    searcher.on_trial_complete(trial, found)


if __name__ == "__main__":
    main()
