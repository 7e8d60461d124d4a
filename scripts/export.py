"""Write a run's best model: python scripts/export.py RUN --out model.keras"""

import shlex
from pathlib import Path
from typing import Annotated as A

from typer import Argument, Option, Typer

from results.export import export_model
from results.paths import RunPaths
from search_spaces.errors import reported


def main(
    run: A[Path, Argument(help="A run directory, such as runs/NAME.")],
    out: A[Path, Option(help="File to write; labels and a model card go beside it.")] = Path("model.keras"),
) -> None:
    """Write a run's best model as .keras, with its labels and a model card."""
    with reported():
        model, labels, card = export_model(RunPaths.existing(run), out)
        print(f"model   {model}\nlabels  {labels}\ncard    {card}")
        print(f"Next:   python scripts/predict.py {shlex.quote(str(model))} IMAGE...")


app = Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(main)

if __name__ == "__main__":
    app()
