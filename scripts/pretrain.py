"""Train the backbone cifar_cnn: python scripts/pretrain.py --data cifar10"""

import os
from pathlib import Path
from typing import Annotated as A

from typer import Option, Typer

from results.commands import search
from search_spaces.errors import reported
from search_spaces.keras_settings import check_keras
from tuner.chatter import redirected


def main(
    data: A[
        str, Option(help="cifar10, digits, a folder with a subfolder a class (or train/ and val/ of such), or .npz.")
    ] = "cifar10",
    epochs: A[int, Option(min=1, help="How long to train.")] = 30,
    seed: A[int, Option(min=0, help="Draws the validation images, and seeds the weights.")] = 0,
    precision: A[str, Option(help="float32 or bfloat16.")] = "bfloat16",
    out: A[Path, Option(help="File to write, .npz; its provenance is written beside it as .json.")] = Path(
        "cifar_cnn.npz"
    ),
) -> None:
    """Train a small CNN and keep its trunk as float16, as a backbone to transfer from."""
    with reported(), redirected(Path(os.devnull)) as terminal:
        check_keras()
        from tuner.pretraining import pretrain  # here, because TensorFlow prints when it is imported

        provenance = pretrain(data, epochs, seed, precision, out, terminal)
        following = search(space="finetune", backbones="cifar_cnn", weights=out)
    print(f"{out}: {out.stat().st_size / 1e6:.2f} MB, validation accuracy {provenance['validation_accuracy']:.1%}")
    print(f"To transfer from it: {following}")


app = Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(main)

if __name__ == "__main__":
    app()
