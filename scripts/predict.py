"""Classify images with an exported model: python scripts/predict.py model.keras cat.jpg dog.png"""

import os
import sys
from pathlib import Path
from typing import Annotated as A

from rich.console import Console
from rich.table import Table
from typer import Argument, Option, Typer

from results.images import Undecodable
from search_spaces.errors import reported
from tuner.chatter import redirected


def main(
    model: A[Path, Argument(help="A model that scripts/export.py wrote.")],
    images: A[list[Path], Argument(help="Image files.")],
    top: A[int, Option(min=1, help="Classes to show for each image.")] = 3,
) -> None:
    """Print the likeliest classes of each image and their probabilities."""
    table = Table("image", "class", "probability", box=None, header_style="bold", pad_edge=False)
    refused = []
    with reported(), redirected(Path(os.devnull)):
        from results.predictor import Predictor  # here, because TensorFlow prints when it is imported

        predictor = Predictor(model)
        for image in images:
            try:
                for rank, guess in enumerate(predictor.classify(image, top)):
                    table.add_row(str(image) if rank == 0 else "", guess.label, f"{guess.probability:.1%}")
            except Undecodable as error:
                refused.append(str(error))
    Console(highlight=False, markup=False, emoji=False).print(table)
    for reason in refused:
        print(f"Not an image: {reason}", file=sys.stderr)
    if refused:
        sys.exit(1)


app = Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(main)

if __name__ == "__main__":
    app()
