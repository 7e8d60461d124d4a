"""The order of batches depends on the seed and the epoch alone, whoever gathers them."""

from typing import Any

import keras
import numpy as np
import pytest

from tuner.trial import batches as batches_module
from tuner.trial.batches import Batches

VALUES = np.arange(50, dtype="float32").reshape(50, 1)
TARGETS = np.arange(50) + 100


def read(source: Any) -> list[list[float]]:
    """The rows of each batch, whether a PyDataset or a tf.data one gives them."""
    batches = [source[number] for number in range(len(source))] if isinstance(source, Batches) else list(source)
    for values, targets in batches:
        np.testing.assert_array_equal(np.ravel(values) % 1000 + 100, targets)
    return [[float(value) for value in np.ravel(values)] for values, _ in batches]


@pytest.fixture(autouse=True, params=[1e6, 10], ids=["in memory", "too large for it"])
def memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches_module, "IN_MEMORY", request.param)


@pytest.mark.parametrize("seed", [None, 7])
def test_gathered_elsewhere_they_are_the_same(seed: int | None) -> None:
    indexed = Batches(lambda epoch: VALUES, TARGETS, 16, seed)
    gathered = Batches(lambda epoch: VALUES, TARGETS, 16, seed)
    source = gathered.source()
    is_held = keras.backend.backend() == "tensorflow" and VALUES.nbytes < batches_module.IN_MEMORY
    assert (gathered._held is not None) == is_held
    for epoch in range(3):
        indexed.begin(epoch)
        gathered.begin(epoch)
        assert read(source) == read(indexed)


def test_each_epoch_has_an_order_and_inputs_of_its_own() -> None:
    batches = Batches(lambda epoch: VALUES + 1000 * epoch, TARGETS, 16, 7)
    source = batches.source()
    found = []
    for epoch in range(3):
        batches.begin(epoch)
        read_now = read(source)
        assert [len(batch) for batch in read_now] == [16, 16, 16, 2]
        rows = [row for batch in read_now for row in batch]
        assert sorted(rows) == [1000.0 * epoch + row for row in range(50)]
        found.append([row - 1000 * epoch for row in rows])
    assert found[0] != found[1] != found[2]


@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="of other backends")
def test_other_backends_read_batch_by_batch() -> None:
    batches = Batches(lambda epoch: VALUES, TARGETS, 16, 7)
    assert batches.source() is batches
