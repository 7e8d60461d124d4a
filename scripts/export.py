"""Write a run's model: python scripts/export.py RUN --out model.keras --formats keras,onnx"""

import os
from pathlib import Path
from typing import Annotated as A

from rich.console import Console
from rich.table import Table
from typer import Argument, Option, Typer

from results.commands import predict
from results.labels import card_path, labels_path, levels_path
from search_spaces.errors import reported
from search_spaces.keras_settings import check_keras
from tuner.chatter import redirected
from tuner.found import Study


def main(
    run: A[str, Argument(help="A run directory, such as runs/NAME.")],
    out: A[Path, Option(help="File to write; other formats, labels and a model card go beside it.")] = Path(
        "model.keras"
    ),
    formats: A[str, Option(help="Some of keras,savedmodel,onnx,litert,litert-int8, or all.")] = "keras",
    rank: A[int | None, Option(min=1, help="Row of the leaderboard. Default: the winner.")] = None,
    ensemble: A[int | None, Option(min=2, help="Average so many of the finalists' models into one.")] = None,
) -> None:
    """Write a run's model in one or several formats, each compared with the original, with labels and a model card."""
    with reported():
        check_keras()
        study = Study.open(run)
        with redirected(Path(os.devnull)):
            written = study.export(out, formats, rank, ensemble)
        table = Table(box=None, pad_edge=False)
        for title in ("file", "MB", "ms an image", "largest difference", f"accuracy on {written[0].compared_on}"):
            table.add_column(title, overflow="fold")
        for one in written:
            table.add_row(
                one.path.name,
                f"{one.size / 1e6:.2f}",
                f"{one.latency:.1f}",
                f"{one.difference:.1g}",
                "" if one.accuracy is None else f"{one.accuracy:.2%}",
            )
        Console(highlight=False, markup=False, emoji=False).print(table)
        print(f"labels  {labels_path(out)}\ncard    {card_path(out)}")
        if levels_path(out).is_file():
            print(f"levels  {levels_path(out)}")
        if model := next((one.path for one in written if one.format == "keras"), None):
            print(f"Next:   {predict(str(model))}")


app = Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(main)

if __name__ == "__main__":
    app()
