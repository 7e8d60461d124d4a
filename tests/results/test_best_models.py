"""The few best models that a study keeps."""

from pathlib import Path

import pytest

from results.best_models import BestModels


def offer(models: BestModels, trial: int, epoch: int, accuracy: float) -> bool:
    return models.offer(
        trial, {"epoch": epoch, "val_accuracy": accuracy}, lambda path: path.write_text(f"{trial}/{epoch}")
    )


def test_only_the_best_are_kept_each_at_its_best_epoch(tmp_path: Path) -> None:
    models = BestModels(tmp_path / "best", keep=2)
    assert offer(models, 0, 1, 0.5)
    assert offer(models, 1, 1, 0.4)
    assert offer(models, 0, 2, 0.6)
    assert not offer(models, 0, 3, 0.55)
    assert offer(models, 2, 1, 0.7)
    assert not offer(models, 3, 1, 0.1)
    assert [(kept.trial, kept.epoch) for kept in models.ranked()] == [(2, 1), (0, 2)]
    assert sorted(file.name for file in (tmp_path / "best").glob("*.keras")) == [
        "trial-0000-epoch-02.keras",
        "trial-0002-epoch-01.keras",
    ]
    assert (tmp_path / "best" / "trial-0000-epoch-02.keras").read_text() == "0/2"


def test_a_model_that_is_not_among_the_best_is_not_even_saved(tmp_path: Path) -> None:
    models = BestModels(tmp_path, keep=1)
    offer(models, 0, 1, 0.9)
    assert not models.offer(1, {"epoch": 1, "val_accuracy": 0.5}, lambda path: pytest.fail("saved"))


def test_of_equals_the_lower_trial_number_leads(tmp_path: Path) -> None:
    models = BestModels(tmp_path, keep=1)
    offer(models, 4, 1, 0.9)
    assert not offer(models, 5, 1, 0.9)
    assert offer(models, 3, 1, 0.9)


def test_a_save_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    models = BestModels(tmp_path, keep=1)
    offer(models, 0, 1, 0.5)

    def full_disk(path: Path) -> None:
        path.write_text("half")
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space left"):
        models.offer(1, {"epoch": 1, "val_accuracy": 0.9}, full_disk)
    assert [kept.trial for kept in models.ranked()] == [0]
    assert sorted(file.name for file in tmp_path.glob("*.keras")) == ["trial-0000-epoch-01.keras"]
    assert not list(tmp_path.glob(".unfinished*"))
