"""One study of several drivers, in a database that all of them reach: what it is about, and who takes part.

Every driver has a run directory and machines of its own; who tries what is in `tuner/shared_ledger.py`.
"""

import json
import random
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import optuna
import sqlalchemy
from optuna.exceptions import DuplicatedStudyError, StorageInternalError
from optuna.trial import TrialState

from results import commands
from search_spaces.errors import UserError

PERIOD = 2.0
"""Seconds between two looks at what the others have done."""
BEGINNING = 900.0
"""Seconds for the first driver to say what the study is about: it measures before."""
CONNECTED = 10
"""Seconds for a PostgreSQL server to accept a connection."""
BEGINNERS = 10
"""Tries to be told of the tables that others have just made."""


class SharedStudy:
    """The study in the database.

    Args:
        url: SQLAlchemy's, such as postgresql://user@host/database.
        name: of the study, and of each driver's run.
        driver: what this one was called in an earlier session.

    Raises:
        UserError: the database is out of reach, or what talks to it is not installed.
    """

    def __init__(self, url: str, name: str, driver: str = "") -> None:
        self.name, self.driver, self._url = name, driver or uuid.uuid4().hex[:12], url
        self.is_founder, self._is_founded = not driver, False
        try:
            storage = _storage(url)
            sampler = optuna.samplers.RandomSampler(seed=0)
            if driver:
                self.study = optuna.load_study(storage=storage, study_name=name, sampler=sampler)
                return
            try:
                self.study = optuna.create_study(
                    storage=storage, study_name=name, sampler=sampler, direction="maximize"
                )
            except DuplicatedStudyError:
                self.is_founder = False
                self.study = optuna.load_study(storage=storage, study_name=name, sampler=sampler)
        except KeyError as error:
            raise UserError(
                f"--study-storage {url}: it has no study {name}, of which this run is a part; bring the database back, "
                f"or begin anew: {commands.search(warm_start='RUN')} knows its trials"
            ) from error
        except Exception as error:  # SQLAlchemy's and its drivers' have no common ancestor
            raise _unusable(url, error) from error

    def abandon(self) -> None:
        """It was never begun: whoever comes next is its first driver."""
        if self.is_founder and not self._is_founded:
            with suppress(Exception):
                optuna.delete_study(study_name=self.name, storage=self.study._storage)

    def found(self, terms: Mapping[str, Any]) -> None:
        """Say what it is about, as its first driver.

        Raises:
            UserError: the database is out of reach.
        """
        with self.reached():
            self.study.set_user_attr("terms", dict(terms))
        self._is_founded = True

    def join(self, terms: Mapping[str, Any]) -> dict[str, Any]:
        """What its first driver said that it is about; in `terms` is what has to be the same.

        Raises:
            UserError: it is about something else, or nobody has said; or the database is out of reach.
        """
        until = time.monotonic() + BEGINNING
        while (theirs := self._terms()) is None:
            if time.monotonic() > until:
                raise UserError(f"--study-storage: the study {self.name} was never begun by who made it; take a --name")
            time.sleep(PERIOD)
        for name, value in json.loads(json.dumps(terms)).items():
            if theirs.get(name) != value:
                raise UserError(
                    f"--study-storage: the study {self.name} there has another {name}: {theirs.get(name)}, and here it "
                    f"is {value}; make it the same, or give another --name"
                )
        return dict(theirs)

    def _terms(self) -> dict[str, Any] | None:
        try:
            with self.reached():
                terms: dict[str, Any] | None = self.study.user_attrs.get("terms")
                return terms
        except KeyError as error:
            raise UserError(
                f"--study-storage: the driver that made the study {self.name} has ended before it began; start this "
                "one again"
            ) from error

    def claim_finalists(self, driver: str) -> bool:
        """Whether this driver is the one that trains the finalists; only one is, also when it does so once more.

        The first claim counts, and a claim is made in one step: as a trial of a study of its own.

        Raises:
            UserError: the database is out of reach.
        """
        with self.reached():
            claims = optuna.create_study(
                storage=self.study._storage, study_name=f"{self.name}: finalists", load_if_exists=True
            )
            if not claims.trials:
                claims.add_trial(optuna.trial.create_trial(state=TrialState.FAIL, user_attrs={"driver": driver}))
            return bool(claims.trials[0].user_attrs["driver"] == driver)

    @contextmanager
    def reached(self) -> Iterator[None]:
        """For a block that asks the database, once.

        Raises:
            UserError: it is out of reach.
        """
        try:
            yield
        except StorageInternalError as error:
            raise _unusable(self._url, error) from error


def said(error: Exception) -> str:
    """What the database's own error says: Optuna's, around it, guesses."""
    return " ".join(str(error.__cause__ or error).split())[:300]


def _unusable(url: str, error: Exception) -> UserError:
    if isinstance(error.__cause__ or error, ImportError):
        remedy = "what talks to PostgreSQL comes with pip install 'thaw-tuner[postgresql]'"
    else:
        remedy = "give postgresql://USER@HOST/DATABASE, and see that the database runs and that you may write there"
    return UserError(f"--study-storage {url}: {said(error)}; {remedy}")


def check_database(url: str) -> None:
    """See that the database answers.

    Raises:
        UserError: it does not, or what talks to it is not installed.
    """
    try:
        sqlalchemy.create_engine(url, connect_args=_soon(url)).connect().close()
    except Exception as error:  # as above
        raise _unusable(url, error) from error


def _soon(url: str) -> dict[str, int]:
    """PostgreSQL's own patience is two minutes."""
    is_libpq = url.startswith(("postgresql:", "postgresql+psycopg")) and "connect_timeout" not in url
    return {"connect_timeout": CONNECTED} if is_libpq else {}


def _storage(url: str) -> optuna.storages.RDBStorage:
    """In an empty database drivers may make the same tables at the same time; who is told so asks again."""
    for attempt in range(BEGINNERS):
        try:
            return optuna.storages.RDBStorage(url, engine_kwargs={"pool_pre_ping": True, "connect_args": _soon(url)})
        except Exception as error:
            if attempt == BEGINNERS - 1 or "already exists" not in str(error):
                raise
            time.sleep(1 + random.random())
    raise AssertionError
