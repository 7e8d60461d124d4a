"""What TensorBoard shows of the trials: a folder for each, with its curves and its hyperparameters."""

import datetime
import struct
from collections.abc import Iterator
from pathlib import Path

from tensorboardX.proto.api_pb2 import Status
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData, SessionEndInfo
from tensorboardX.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboardX.record_writer import masked_crc32c
from tensorboardX.summary import hparams, scalar

from results.paths import trial_name
from results.records import TO_GO_ON, EpochRecord, TrialRecord, TrialState

SCALARS = ("loss", "accuracy", "val_loss", "val_accuracy")
GOOD = (TrialState.DONE, TrialState.STOPPED)
FILE = "events.out.tfevents.0.thaw"


class TensorBoardLogs:
    """Writes `FOLDER/trial-0007/`: an event file for each trial, to which each epoch is appended.

    What stands in a file follows from the trial's record alone. So a file that a killed search left is completed
    without a point twice, and none is held open. (tensorboardX's own writer takes a thread and an open file a trial,
    and a new file a session.)

    Args:
        folder: where.
        began: when the study did.
    """

    def __init__(self, folder: Path, began: datetime.datetime) -> None:
        self._folder, self._began = folder, began.timestamp()
        self._written: dict[int, int] = {}
        """Epochs in the files of trials that train."""

    def changed(self, record: TrialRecord) -> None:
        """Write what is new of a trial."""
        written, is_over = self._written.get(record.trial), record.state not in TO_GO_ON
        if written is None:
            _complete(self._file(record), b"".join(map(_framed, self._events(record, is_over))))
        elif is_over or len(record.epochs) > written:
            new = [*map(self._epoch, record.epochs[written:]), *([self._end(record)] if is_over else [])]
            with self._file(record).open("ab") as log:
                log.write(b"".join(map(_framed, new)))
        self._written[record.trial] = len(record.epochs)
        if is_over:
            del self._written[record.trial]

    def close(self) -> None:
        """Nothing is held open."""

    def _file(self, record: TrialRecord) -> Path:
        return self._folder / trial_name(record.trial) / FILE

    def _events(self, record: TrialRecord, is_over: bool) -> Iterator[Event]:
        started = self._began + record.started
        yield Event(wall_time=started, file_version="brain.Event:2")
        # Not also the summary that lists all hyperparameters: there TensorBoard takes the first trial's word for all.
        yield Event(wall_time=started, summary=hparams(dict(record.configuration), {})[1])
        yield from map(self._epoch, record.epochs)
        if is_over:
            yield self._end(record)

    def _epoch(self, epoch: EpochRecord) -> Event:
        values = [value for name in SCALARS for value in scalar(name, getattr(epoch, name)).value]
        return Event(wall_time=self._began + epoch.ended, step=epoch.epoch, summary=Summary(value=values))

    def _end(self, record: TrialRecord) -> Event:
        """A trial that failed is marked."""
        status = Status.STATUS_SUCCESS if record.state in GOOD else Status.STATUS_FAILURE
        content = HParamsPluginData(session_end_info=SessionEndInfo(status=status)).SerializeToString()
        about = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="hparams", content=content))
        value = Summary.Value(tag="_hparams_/session_end_info", metadata=about)
        return Event(wall_time=self._began + record.ended, summary=Summary(value=[value]))


def _framed(event: Event) -> bytes:
    """As TensorFlow's record files have it."""
    data = event.SerializeToString(deterministic=True)
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked_crc32c(length)) + data + struct.pack("<I", masked_crc32c(data))


def _complete(file: Path, content: bytes) -> None:
    """Let a file hold that: by what it lacks, so that whoever reads it may go on; anew if it holds something else."""
    before = file.read_bytes() if file.is_file() else b""
    file.parent.mkdir(parents=True, exist_ok=True)
    if content.startswith(before):
        with file.open("ab") as log:
            log.write(content[len(before) :])
    else:
        file.write_bytes(content)
