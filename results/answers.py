"""What a model says of images, written for people or for programs."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from results.predictor import Answer


def _table(answers: Sequence[Answer], out: TextIO) -> None:
    table = Table("image", "class", "probability", box=None, header_style="bold", pad_edge=False)
    for answer in answers:
        for rank, guess in enumerate(answer.guesses):
            table.add_row(str(answer.image) if rank == 0 else "", guess.label, f"{guess.probability:.1%}")
    Console(file=out, highlight=False, markup=False, emoji=False).print(table)


def _csv(answers: Sequence[Answer], out: TextIO) -> None:
    """A row a guess; an image that was refused has one, with neither class nor probability."""
    rows = csv.writer(out)
    rows.writerow(["image", "rank", "class", "probability"])
    for answer in answers:
        for rank, guess in enumerate(answer.guesses, start=1):
            rows.writerow([answer.image, rank, guess.label, f"{guess.probability:.6f}"])
        if answer.refused:
            rows.writerow([answer.image, "", "", ""])


def _json(answers: Sequence[Answer], out: TextIO) -> None:
    """A list of objects: "image", and "classes" by falling probability, or "refused" with the reason."""
    found = [
        {"image": str(answer.image)}
        | (
            {"refused": answer.refused}
            if answer.refused
            else {"classes": {guess.label: guess.probability for guess in answer.guesses}}
        )
        for answer in answers
    ]
    json.dump(found, out, indent=2, ensure_ascii=False)
    out.write("\n")


FORMATS: dict[str, Callable[[Sequence[Answer], TextIO], None]] = {"table": _table, "csv": _csv, "json": _json}
TOP = {"table": 3, "csv": 1, "json": 3}
"""Classes of each image by default: as CSV a row an image."""
