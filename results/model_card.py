"""What a person should know of a model before using it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from results.candidate import Candidate
from results.records import StudyRecord
from results.wording import percent
from search_spaces.configuration import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from results.export import Exported


def card(out: Path, study: StudyRecord, chosen: Candidate, written: Sequence[Exported]) -> str:
    """The card in Markdown."""
    data, side, trial = study.data, study.data.image_size, chosen.trial
    configuration = "\n".join(f"| {name} | {shown(value)} |" for name, value in trial.configuration.items())
    parts = [
        f"# {out.stem}",
        f"An image classifier for {len(data.class_names)} classes: {', '.join(data.class_names)}.",
        f"""- **Input**: RGB images as raw pixels (0 to 255), shape ({side}, {side}, 3); preprocessing is inside.
- **Output**: a probability for each class, in the order of `{out.stem}.labels.json`.
- **Training data**: {data.source}, {data.training_images:,} images, fingerprint `{data.fingerprint}`.
- **Found by**: study `{study.name}`, trial {trial.trial}, epoch {chosen.epoch}, \
seed {study.options["seed"] if chosen.seed is None else chosen.seed}, \
among {study.options["trials"]} configurations.
- **Parameters**: {trial.parameters:,}.""",
        "## How good it is",
        _accuracy(study, chosen),
        *_classes(study, chosen),
        "## Formats",
        _formats(written),
        "## Limits",
        """It always answers with one of its classes, whatever the image shows; images unlike the training data are
classified at random. Weights of pre-trained backbones have a licence of their own.""",
        f"## Configuration\n\n| hyperparameter | value |\n|---|---|\n{configuration}",
    ]
    return "\n\n".join(parts) + "\n"


def _accuracy(study: StudyRecord, chosen: Candidate) -> str:
    validation = (
        f"Validation accuracy {percent(chosen.val_accuracy)} on {study.data.validation_images:,} images. These chose "
        "the configuration and its epoch, so it is optimistic."
    )
    if chosen.test is None:
        return f"{validation} The test split has not been asked about this model."
    found = chosen.test.evaluation
    low, high = found.interval
    often = len(study.test_openings)
    return (
        f"**Test accuracy {percent(found.accuracy)}** (95 % interval {percent(low)} to {percent(high)}) on "
        f"{found.images:,} images that chose nothing; the test split was opened {'once' if often == 1 else often}"
        f"{'' if often == 1 else ' times, so whoever looked in between may have chosen by it'}. Its probabilities are "
        f"off by {percent(found.calibration_error)} on average (expected calibration error). {validation}"
    )


def _classes(study: StudyRecord, chosen: Candidate) -> list[str]:
    if chosen.test is None:
        return []
    rows = [
        f"| {name} | {scores.images:,} | {_share(scores.precision)} | {_share(scores.recall)} | {_share(scores.f1)} |"
        for name, scores in zip(study.data.class_names, chosen.test.evaluation.classes, strict=True)
    ]
    return ["| class | test images | precision | recall | F1 |\n|---|---|---|---|---|\n" + "\n".join(rows)]


def _share(value: float | None) -> str:
    return "" if value is None else percent(value)


def _formats(written: Sequence[Exported]) -> str:
    rows = [
        f"| {one.path.name} | {one.size / 1e6:.2f} | {one.latency:.1f} | {one.difference:.1g} "
        f"| {percent(one.accuracy)} |"
        for one in written
    ]
    head = ["| file | MB | ms an image, alone | largest difference of a probability | accuracy |", "|---" * 5 + "|"]
    text = "Each was loaded again and compared with the original on real images before it was written."
    return "\n".join([*head, *rows, "", text])
