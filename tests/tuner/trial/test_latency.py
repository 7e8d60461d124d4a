"""How long a model takes for one image beside other trials."""

import random
from collections.abc import Callable

import pytest

from tuner.trial.latency import LONGEST, LatencyMeter


class Machine:
    """A clock that goes on with what is computed, slower while others compute."""

    def __init__(self, load: Callable[[float], float]) -> None:
        self.now, self._load = 0.0, load

    def __call__(self) -> float:
        return self.now

    def computes(self, seconds: float) -> Callable[[], None]:
        """A call that takes so long on a machine of its own."""

        def call() -> None:
            self.now += seconds * self._load(self.now)

        return call


@pytest.mark.parametrize("milliseconds", [0.3, 5.0, 30.0])
def test_what_trials_beside_it_slow_down_is_taken_off(milliseconds: float) -> None:
    machine = Machine(lambda now: 1.0 if now < 0.2 else 1.8 + random.Random(int(now * 50)).uniform(-0.3, 0.3))
    meter = LatencyMeter(machine.computes(0.001), machine)
    machine.now = 10.0  # from here on others train
    found = meter.measure(machine.computes(milliseconds / 1000))
    assert found.milliseconds == pytest.approx(milliseconds, rel=0.15)


def test_a_disturbed_measurement_has_a_spread_and_a_quiet_one_none() -> None:
    rng = random.Random(0)
    quiet = Machine(lambda now: 1.0)
    found = LatencyMeter(quiet.computes(0.001), quiet).measure(quiet.computes(0.02))
    assert found.milliseconds == pytest.approx(20)
    assert found.spread == pytest.approx(0, abs=1e-6)
    busy = Machine(lambda now: rng.uniform(1, 3))
    assert LatencyMeter(busy.computes(0.001), busy).measure(busy.computes(0.02)).spread > 0.5


@pytest.mark.parametrize("seed", range(5))
def test_processes_that_take_turns_slow_the_model_no_more_than_the_reference(seed: int) -> None:
    rng = random.Random(seed)
    machine = Machine(lambda now: 1.0 if now < 0.2 else rng.choice([1.0, 1.0, 3.0]))
    meter = LatencyMeter(machine.computes(0.001), machine)
    machine.now = 10.0
    found = meter.measure(machine.computes(0.008))
    assert abs(found.milliseconds - 8) < 4 * found.spread
    assert found.milliseconds == pytest.approx(8, rel=0.5)


def test_a_slow_model_is_called_a_few_times_only() -> None:
    machine = Machine(lambda now: 1.0)
    meter = LatencyMeter(machine.computes(0.001), machine)
    calls = []

    def call() -> None:
        calls.append(machine.now)
        machine.now += LONGEST

    assert meter.measure(call).milliseconds == pytest.approx(1000 * LONGEST)
    assert len(calls) == 4


def test_a_quieter_moment_than_the_first_is_remembered() -> None:
    machine = Machine(lambda now: 2.0 if now < 100 else 1.0)
    meter = LatencyMeter(machine.computes(0.001), machine)
    before = meter.measure(machine.computes(0.002)).milliseconds
    machine.now = 100.0
    meter.measure(machine.computes(0.002))
    assert before == pytest.approx(4)
    assert meter.measure(machine.computes(0.002)).milliseconds == pytest.approx(2)
