"""Classify images with an exported model: python scripts/predict.py model.keras cat.jpg photos/ 'new/*.png'"""

import os
import sys
from pathlib import Path
from typing import Annotated as A

from typer import Argument, Option, Typer

from results.answers import FORMATS, TOP
from search_spaces.errors import UserError, reported
from search_spaces.keras_settings import check_keras
from tuner.chatter import redirected


def main(
    model: A[str, Argument(help="A model that scripts/export.py wrote, or a run directory.")],
    images: A[list[str], Argument(help="Image files, folders, or globs.")],
    top: A[int | None, Option(min=1, help="Classes to show for each image. Default: 3, in csv 1.")] = None,
    format: A[str, Option(help=f"Of what is printed: {', '.join(FORMATS)}.")] = "table",
    batch: A[int, Option(min=1, help="Images to decode and classify at a time.")] = 256,
) -> None:
    """Print the likeliest classes of each image and their probabilities."""
    with reported(), redirected(Path(os.devnull)) as terminal:
        check_keras()
        write = FORMATS.get(format)
        if write is None:
            raise UserError(f"--format {format}: must be one of {', '.join(FORMATS)}")
        from results.labels import labels_path
        from results.predictor import Predictor, found_images  # here, because TensorFlow prints when it is imported
        from results.served import model_of

        file, labels, levels = model_of(model)
        files = found_images(images)
        answers = list(Predictor(file, labels, levels).classify(files, top or TOP[format], batch))
        write(answers, terminal)
        note = "" if labels else f"Note: {labels_path(file)} is not there: classes are numbers"
    if note:
        print(note, file=sys.stderr)
    refused = [answer.refused for answer in answers if answer.refused]
    for reason in refused:
        print(f"Not an image: {reason}", file=sys.stderr)
    if refused:
        sys.exit(1)


app = Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(main)

if __name__ == "__main__":
    app()
