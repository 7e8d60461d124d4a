"""What a person should know of a model before using it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from results.candidate import Candidate, Member
from results.records import DataRecord, StudyRecord
from results.wording import percent, plain
from search_spaces.backbones import BACKBONES
from search_spaces.configuration import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from results.export import Exported


def card(out: Path, study: StudyRecord, chosen: Candidate, written: Sequence[Exported], images: str) -> str:
    """The card in Markdown; `images` says on what the formats were compared."""
    data, side = study.data, study.data.image_size
    parts = [
        f"# {out.stem}",
        f"An image classifier for {len(data.class_names)} classes: {', '.join(map(plain, data.class_names))}.",
        f"""- **Input**: RGB images as raw pixels (0 to 255), shape ({side}, {side}, 3); preprocessing is inside.
  In training, images were turned as their EXIF says, laid over white where transparent, and resized without regard to
  their aspect by Pillow's `resize(..., Image.Resampling.BILINEAR)`; `scripts/predict.py` does the same.{_levels(data)}
- **Output**: a probability for each class, in the order of `{out.stem}.labels.json`.
- **Training data**: {plain(data.source)}, {_trained_on(data, chosen)}, fingerprint `{data.fingerprint}`.
- **Found by**: study `{study.name}`, a search among at most {study.options["trials"]} configurations.""",
        "## How good it is",
        _accuracy(study, chosen),
        *_classes(study, chosen),
        "## Formats",
        _formats(written, images + (", which it was trained on" if _is_retrained(chosen) else "")),
        "## Limits",
        f"""It always answers with one of its classes, whatever the image shows; images unlike the training data are
classified at random. {_licence(study, chosen)}""",
        "## Configuration" if len(chosen.members) == 1 else f"## The mean of {len(chosen.members)} models",
        *(_member(study, member) for member in chosen.members),
    ]
    return "\n\n".join(parts) + "\n"


def _levels(data: DataRecord) -> str:
    return f" Of images of more than 8 bits, values of {data.levels} became 0 to 255." if data.levels else ""


def _is_retrained(chosen: Candidate) -> bool:
    return any(member.val_accuracy is None for member in chosen.members)


def _trained_on(data: DataRecord, chosen: Candidate) -> str:
    if _is_retrained(chosen):
        return f"{data.training_images + data.validation_images:,} images, those for validation among them"
    return f"{data.training_images:,} images"


def _member(study: StudyRecord, member: Member) -> str:
    rows = "\n".join(f"| {name} | {plain(shown(value))} |" for name, value in member.trial.configuration.items())
    seed = study.options["seed"] if member.seed is None else member.seed
    what = f"Trial {member.trial.trial}, seed {seed}, epoch {member.epoch}, {member.trial.parameters:,} parameters."
    return f"{what}\n\n| hyperparameter | value |\n|---|---|\n{rows}"


def _accuracy(study: StudyRecord, chosen: Candidate) -> str:
    validation = _validation(study, chosen)
    if chosen.test is None:
        return f"{validation} The test split has not been asked about this model."
    found = chosen.test.evaluation
    low, high = found.interval
    often = len(study.test_openings)
    opened = "once" if often == 1 else f"{often} times, so whoever looked in between may have chosen by it"
    return (
        f"**Test accuracy {percent(found.accuracy)}** (95 % interval {percent(low)} to {percent(high)}) on "
        f"{found.images:,} held-out images; the test split was opened {opened}. Its probabilities are off by "
        f"{percent(found.calibration_error)} on average (expected calibration error). {validation}"
    )


def _validation(study: StudyRecord, chosen: Candidate) -> str:
    if _is_retrained(chosen):
        return f"It was trained on the {study.data.validation_images:,} validation images too."
    found = ", ".join(percent(member.val_accuracy or 0.0) for member in chosen.members)
    return (
        f"Validation accuracy {found} on {study.data.validation_images:,} images. These chose the configuration and "
        "its epoch, so it is optimistic."
    )


def _classes(study: StudyRecord, chosen: Candidate) -> list[str]:
    if chosen.test is None:
        return []
    rows = [
        f"| {plain(name)} | {scores.images:,} | {_share(scores.precision)} | {_share(scores.recall)} "
        f"| {_share(scores.f1)} |"
        for name, scores in zip(study.data.class_names, chosen.test.evaluation.classes, strict=True)
    ]
    return ["| class | test images | precision | recall | F1 |\n|---|---|---|---|---|\n" + "\n".join(rows)]


def _share(value: float | None) -> str:
    return "" if value is None else percent(value)


def _formats(written: Sequence[Exported], images: str) -> str:
    rows = [
        f"| {one.path.name} | {one.size / 1e6:.2f} | {one.latency:.1f} | {one.difference:.1g} "
        f"| {_share(one.accuracy)} |"
        for one in written
    ]
    head = [
        "| file | MB | ms an image, alone | largest difference of a probability | accuracy on them |",
        "|" + "---|" * 5,
    ]
    text = f"Each was loaded again and compared with the original on {images}, before it was written."
    return "\n".join([*head, *rows, "", text])


def _licence(study: StudyRecord, chosen: Candidate) -> str:
    """Of what was not trained here."""
    weights, space = str(study.options["weights"]), study.options.get("space", "finetune")
    if space == "custom_cnn" or (space == "finetune" and weights == "none"):
        return "All of its weights were trained on the data above."
    if space != "finetune":
        return f"Whether weights trained elsewhere are in it, and under which licence, the space {plain(space)} knows."
    if weights != "imagenet" and weights != "none":
        return f"It began from the weights in {plain(weights)}, whose licence is that of their author."
    backbones = dict.fromkeys(str(member.trial.configuration.get("backbone")) for member in chosen.members)
    known = [f"{name} ({BACKBONES[name].licence})" for name in backbones if name in BACKBONES]
    return f"It began from weights trained elsewhere, which have a licence of their own: {', '.join(known)}."
