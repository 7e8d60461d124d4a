"""The trials as runs of an MLflow experiment."""

import datetime
import os
import re
import threading
import traceback
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from results.paths import trial_name
from results.records import EpochRecord, TrialRecord, TrialState
from results.wording import counted

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

STATUS = {TrialState.RUNNING: "RUNNING", TrialState.INTERRUPTED: "KILLED", TrialState.DONE: "FINISHED",
          TrialState.STOPPED: "FINISHED", TrialState.FAILED: "FAILED", TrialState.INFEASIBLE: "FAILED",
          TrialState.SKIPPED: "KILLED"}  # fmt: skip
MEASURES = ("loss", "accuracy", "val_loss", "val_accuracy", "seconds")
TRIAL, STATE = "thaw.trial", "thaw.state"
"""Tags."""
UNNAMEABLE = re.compile(r"[^\w\-. :/]")
"""What MLflow allows in no name."""
LONGEST = 500
"""Letters of a parameter or a tag."""
AT_ONCE = 100
"""Epochs, and parameters, that a server is sent in one request: it takes a thousand numbers."""
PATIENCE = 15.0
"""Seconds to wait for a server, at the end."""
AGAIN = 30.0
"""Seconds before one that has failed is asked again."""


class _Run(NamedTuple):
    """What the server has of a trial."""

    id: str
    epochs: int = 0
    state: TrialState | None = None


class MlflowRuns:
    """Sends each trial's configuration, epochs and end to an MLflow server or store, from a thread of its own.

    The search neither waits for it nor ends by it: what could not be sent is sent again until the search ends. A run is
    found again by its tags, and what it lacks is added, so a resumed search goes on with its runs.

    (Ray has a callback for this, MLflowLoggerCallback. In Ray 2.60 it begins new runs in a resumed search, calls each
    hyperparameter `configuration/NAME`, and asks the server in the driver's own loop, where an error ends the search.)

    Args:
        uri: of the server or store.
        experiment: its name; made if it is not there.
        tags: of all its runs; together with a trial's number they say which run it is.
        began: when the study did.
        say: shows a person a line.
    """

    def __init__(
        self, uri: str, experiment: str, tags: dict[str, str], began: datetime.datetime, say: Callable[[str], None]
    ) -> None:
        self._uri, self._experiment, self._tags, self._say = uri, experiment, tags, say
        self._began = began.timestamp()
        self._pending: dict[int, TrialRecord] = {}
        self._lock, self._news, self._closing = threading.Lock(), threading.Event(), threading.Event()
        self._is_told = False
        self._experiment_id = ""
        self._runs: dict[int, _Run] = {}
        """By trial."""
        self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)
        self._thread.start()

    def changed(self, record: TrialRecord) -> None:
        """To be sent soon; of several changes of a trial the last one tells all. Other drivers send theirs."""
        if record.driver:
            return
        with self._lock:
            self._pending[record.trial] = record
        self._news.set()

    def close(self) -> None:
        """Wait a little for what is still to be sent."""
        self._closing.set()
        self._news.set()
        self._thread.join(PATIENCE)
        if left := len(self._pending):
            self._say(
                f"Note: --mlflow {self._uri} lacks news of {counted(left, 'trial')}; --resume with it again sends them"
            )

    def _work(self) -> None:
        client: MlflowClient | None = None
        while True:
            self._news.wait()
            self._news.clear()
            is_last = self._closing.is_set()
            try:
                client = client or self._connect()
                self._send_all(client)
            except Exception as error:
                self._tell(error)
                client = None  # what it had done of that is seen when all runs are looked up again
                self._closing.wait(AGAIN)
                self._news.set()
            if is_last:
                return

    def _tell(self, error: Exception) -> None:
        if not self._is_told:
            self._is_told = True
            traceback.print_exception(error)
            first = str(error).partition("\n")[0][:300]
            self._say(f"Note: --mlflow {self._uri}: {first}. The search goes on, and it is tried again")

    def _connect(self) -> "MlflowClient":
        # Its client asks seven times, for minutes; and it reports its use to its makers.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=self._uri)
        found = client.get_experiment_by_name(self._experiment)
        self._experiment_id = found.experiment_id if found else client.create_experiment(self._experiment)
        self._runs = {}
        wanted, page = " and ".join(f"tags.`{name}` = '{value}'" for name, value in self._tags.items()), None
        while True:
            runs = client.search_runs([self._experiment_id], filter_string=wanted, max_results=1000, page_token=page)
            for run in runs:
                epochs, tags = int(run.data.metrics.get("epoch", 0)), run.data.tags
                state = TrialState(tags[STATE]) if tags.get(STATE) in tuple(TrialState) else None
                self._runs[int(tags[TRIAL])] = _Run(run.info.run_id, epochs, state)
            if not (page := runs.token):
                return client

    def _send_all(self, client: "MlflowClient") -> None:
        while self._pending:
            with self._lock:
                record = next(iter(self._pending.values()))
            self._send(client, record)
            with self._lock:
                if self._pending[record.trial] is record:  # and not already another one
                    del self._pending[record.trial]

    def _send(self, client: "MlflowClient", record: TrialRecord) -> None:
        from mlflow.entities import RunTag

        run = self._runs.get(record.trial) or self._begun(client, record)
        if record.state is not TrialState.RUNNING and record.state is not run.state:
            client.set_terminated(run.id, STATUS[record.state], self._milliseconds(record.ended))
        elif run.state is TrialState.INTERRUPTED:
            client.update_run(run.id, STATUS[record.state])
        if not run.epochs:
            self._send_configuration(client, run.id, record)
        for first in range(run.epochs, len(record.epochs), AT_ONCE):
            epochs = record.epochs[first : first + AT_ONCE]
            best = max(epoch.val_accuracy for epoch in record.epochs[: first + len(epochs)])
            metrics = [*self._metrics(epochs), self._metric("best_val_accuracy", best, epochs[-1])]
            client.log_batch(run.id, metrics=metrics)
        if record.state is not run.state:  # last: it says that the rest is there
            tags = {"thaw.reason": record.reason, STATE: record.state}
            said = [RunTag(name, value[:LONGEST]) for name, value in tags.items() if value is not None]
            client.log_batch(run.id, tags=said)
        self._runs[record.trial] = _Run(run.id, len(record.epochs), record.state)

    def _send_configuration(self, client: "MlflowClient", run: str, record: TrialRecord) -> None:
        from mlflow.entities import Param

        parameters = [
            Param(UNNAMEABLE.sub("_", name), str(value)[:LONGEST]) for name, value in record.configuration.items()
        ]
        for first in range(0, len(parameters), AT_ONCE):
            client.log_batch(run, params=parameters[first : first + AT_ONCE])

    def _begun(self, client: "MlflowClient", record: TrialRecord) -> _Run:
        name = trial_name(record.trial) if record.seed is None else f"{trial_name(record.trial)} seed {record.seed}"
        tags = self._tags | {TRIAL: str(record.trial)}
        made = client.create_run(self._experiment_id, self._milliseconds(record.started), tags, name)
        return _Run(made.info.run_id)

    def _metrics(self, epochs: Iterable[EpochRecord]) -> list["Metric"]:
        return [
            self._metric(name, value, epoch)
            for epoch in epochs
            for name, value in [("epoch", epoch.epoch), *((name, getattr(epoch, name)) for name in MEASURES)]
        ]

    def _metric(self, name: str, value: float, epoch: EpochRecord) -> "Metric":
        from mlflow.entities import Metric

        return Metric(name, value, self._milliseconds(epoch.ended), epoch.epoch)

    def _milliseconds(self, seconds: float) -> int:
        return int((self._began + seconds) * 1000)
