"""The best model of a run, to be used elsewhere: the .keras file, its labels, and a model card."""

import json
import shutil
from pathlib import Path

from results.best_models import BestModels, SavedModel
from results.paths import RunPaths
from results.records import StudyRecord, TrialRecord, read_study, read_trials
from results.whole_file import replacing, write_text
from search_spaces.configuration import shown
from search_spaces.errors import UserError


def labels_path(model: Path) -> Path:
    """Where the class names of an exported model are: `model.labels.json` beside `model.keras`."""
    return model.with_suffix(".labels.json")


def card_path(model: Path) -> Path:
    """Where the model card of an exported model is: `model.md` beside `model.keras`."""
    return model.with_suffix(".md")


def export_model(paths: RunPaths, out: Path) -> list[Path]:
    """Write the best model to `out`, with its labels and its card beside it; returns the three paths.

    The model takes raw pixels (0..255) of the study's image size, preprocessing is inside, and gives a probability a
    class; plain Keras loads it without this project's code.

    Raises:
        UserError: `out` does not end with .keras or cannot be written, or the run has no model yet.
    """
    if out.suffix != ".keras":
        raise UserError(f"--out {out}: must end with .keras")
    study, trials = read_study(paths), {trial.trial: trial for trial in read_trials(paths)}
    # While the study runs a model may be kept a moment before its epoch is recorded.
    kept = [one for one in BestModels(paths.best).ranked() if one.epoch <= len(trials[one.trial].epochs)]
    if not kept:
        raise UserError(f"{paths.root} has no model yet: no trial has finished an epoch (see {paths.log.name})")
    card = _card(out, study, trials[kept[0].trial], kept[0])
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(out) as temporary:
            shutil.copyfile(paths.best / kept[0].file, temporary)
        write_text(labels_path(out), json.dumps(list(study.data.class_names), indent=2, ensure_ascii=False) + "\n")
        write_text(card_path(out), card)
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written ({error.strerror}); give another path") from error
    return [out, labels_path(out), card_path(out)]


def _card(out: Path, study: StudyRecord, trial: TrialRecord, model: SavedModel) -> str:
    data = study.data
    side = data.image_size
    configuration = "\n".join(f"| {name} | {shown(value)} |" for name, value in trial.configuration.items())
    return f"""# {out.stem}

An image classifier for {len(data.class_names)} classes: {", ".join(data.class_names)}.

- **Input**: RGB images as raw pixels (0 to 255), shape ({side}, {side}, 3); preprocessing is inside the model.
- **Output**: a probability for each class, in the order of `{labels_path(out).name}`.
- **Validation accuracy**: {model.val_accuracy:.2%} on {data.validation_images} images. It was used to choose this model
  among {study.options["trials"]} configurations and their epochs, so it is optimistic. The test split was not opened.
- **Training data**: {data.source}, {data.training_images} images, fingerprint `{data.fingerprint}`.
- **Found by**: study `{study.name}`, trial {model.trial}, epoch {model.epoch}, seed {study.options["seed"]}.
- **Parameters**: {trial.parameters:,}.
- **Limits**: it always answers with one of its classes, whatever the image shows; images unlike the training data are
  classified at random. Weights of pre-trained backbones have a licence of their own.

## Configuration

| hyperparameter | value |
|---|---|
{configuration}
"""
