"""Serve a model with a web page to try it: python scripts/serve.py model.keras"""

import os
import signal
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated as A

from typer import Argument, Option, Typer

from results.commands import classify
from search_spaces.errors import UserError, reported
from search_spaces.keras_settings import check_keras
from tuner.chatter import redirected


def main(
    model: A[str, Argument(help="A model that scripts/export.py wrote, or a run directory.")],
    samples: A[Path | None, Option(help="Folder of images to offer for a try. Default: a run's examples.")] = None,
    host: A[str, Option(help="Address to listen on; 0.0.0.0 opens it to the network, to anybody.")] = "127.0.0.1",
    port: A[int, Option(min=1, max=65535)] = 8000,
    most_mb: A[float, Option(help="Largest image that is accepted.")] = 10.0,
    timeout: A[float, Option(help="Seconds until a request is given up.")] = 30.0,
    log: A[Path, Option(help="What Ray and the training library print.")] = Path(os.devnull),
) -> None:
    """Answer images with classes over HTTP, and show a page to try it on."""
    with reported():
        check_keras()
        if find_spec("fastapi") is None:
            raise UserError("serving needs more packages: pip install 'thaw-tuner[serve]'")
        with redirected(log) as terminal:
            from results.served import served

            found = served(model, samples, round(most_mb * 1e6))
            from tuner.serving import serving  # after what may be missing is known, because Ray takes seconds

            with serving(found, host, port, timeout):
                address = f"http://{host}:{port}"
                print(
                    f"{address}  drop an image there\n\n{classify(address)}\n\nCtrl+C ends it",
                    file=terminal,
                    flush=True,
                )
                for ending in (signal.SIGINT, signal.SIGTERM):  # also where a shell has the first one ignored
                    signal.signal(ending, signal.default_int_handler)
                with suppress(KeyboardInterrupt):
                    signal.pause()


app = Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(main)

if __name__ == "__main__":
    app()
