"""What is kept of trials as they change is what one would find by looking at all of them."""

from hypothesis import given
from hypothesis import strategies as st

from results.records import TO_GO_ON, UNCOUNTED, TrialRecord, TrialState
from tests.results.written_run import a_trial
from tuner.progress import Progress

LEADERS = 3
STATES = [state for state in TrialState if state is not TrialState.RUNNING]


@st.composite
def lives(draw: st.DrawFn) -> list[TrialRecord]:
    """Trials that begin, report and end, in turns; accuracies in tenths, so that some are alike."""
    changes = []
    for number in range(draw(st.integers(0, 8))):
        accuracies = draw(st.lists(st.integers(0, 10).map(lambda tenths: tenths / 10), max_size=4))
        each = [a_trial(number, accuracies[:count], TrialState.RUNNING) for count in range(len(accuracies) + 1)]
        if (end := draw(st.sampled_from([None, *STATES]))) is not None:
            each.append(a_trial(number, accuracies, end))
        changes.append(each)
    order = draw(st.permutations([number for number, each in enumerate(changes) for _ in each]))
    return [changes[number].pop(0) for number in order]


def rank(trial: TrialRecord) -> tuple[float, int]:
    return -trial.accuracy, trial.trial


@given(lives())
def test_nothing_has_to_be_looked_at_again(changes: list[TrialRecord]) -> None:
    progress, trials = Progress([], LEADERS), dict[int, TrialRecord]()
    for record in changes:
        progress.put(record)
        trials[record.trial] = record
        every = list(trials.values())
        assert +progress.counts == {
            state: count for state in TrialState if (count := sum(one.state is state for one in every))
        }
        assert progress.ended == sum(one.state not in (*TO_GO_ON, *UNCOUNTED) for one in every)
        assert progress.best == min((one for one in every if one.epochs), key=rank, default=None)
        ordered = sorted(every, key=lambda one: (one.state is not TrialState.RUNNING, *rank(one)))
        assert progress.shown() == ordered[:LEADERS]
