"""A model behind HTTP: Ray Serve answers images with classes, and has a page to try it on."""

import asyncio
import io
import mimetypes
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import numpy as np
import ray
from fastapi import FastAPI, HTTPException, Query, Request, Response
from ray import serve

from results.images import Undecodable, decode
from results.report import environment
from results.served import Served
from search_spaces.errors import UserError
from tuner.ray_folder import short_enough

MOST_TOGETHER = 32
"""Requests that are answered in one batch."""
PATIENCE = 0.005
"""Seconds that a request waits for others to join its batch."""
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    "img-src 'self' blob: data:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
"""The page needs nothing from anywhere else."""


app = FastAPI(docs_url=None, redoc_url=None)  # their pages would fetch scripts from elsewhere


@serve.deployment(max_ongoing_requests=2 * MOST_TOGETHER)
@serve.ingress(app)
class Classifier:
    """Answers requests; the model is loaded once."""

    def __init__(self, served: Served) -> None:
        from results.predictor import Predictor

        self._served = served
        self._trouble: str | None = None
        try:
            self._predictor = Predictor(served.model, served.labels, served.levels)
        except UserError as error:  # Ray Serve would start an actor that fails again and again
            self._trouble = str(error)
            return
        size = self._predictor.image_size
        self._predictor.probabilities(np.zeros((1, size, size, 3), np.uint8))  # so that the first request is quick
        self._page = environment().get_template("demo.html").render(served=served, labels=self._predictor.labels)

    def trouble(self) -> str | None:
        """Why it can answer nothing, if so."""
        return self._trouble

    @app.get("/")
    def page(self) -> Response:
        """Where a person tries the model."""
        headers = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"}
        return Response(self._page, media_type="text/html", headers=headers)

    @app.get("/samples/{number}")
    def sample(self, number: int) -> Response:
        """One of the images to try."""
        if not 0 <= number < len(self._served.samples):
            raise HTTPException(404, "no such sample")
        file = self._served.samples[number]
        kind = mimetypes.guess_type(file.name)[0]
        return Response(file.read_bytes(), headers={"X-Content-Type-Options": "nosniff"}, media_type=kind)

    @app.get("/model")
    def model(self) -> dict[str, Any]:
        """What it expects and answers."""
        return {
            "title": self._served.title,
            "classes": self._predictor.labels,
            "image_size": self._predictor.image_size,
            "most_bytes": self._served.most_bytes,
        }

    @app.post("/classify")
    async def classify(self, request: Request, top: Annotated[int, Query(ge=1)] = 3) -> dict[str, Any]:
        """The `top` likeliest classes of the image that is the request's body, best first."""
        body = await self._body(request)
        try:
            size, levels = self._predictor.image_size, self._predictor.levels
            pixels = await asyncio.to_thread(decode, io.BytesIO(body), size, levels)
        except Undecodable as error:
            raise HTTPException(415, f"{error}") from error
        guesses = self._predictor.best(await self._answer(pixels), top)
        return {"classes": [{"class": guess.label, "probability": guess.probability} for guess in guesses]}

    async def _body(self, request: Request) -> bytes:
        most = self._served.most_bytes
        told = request.headers.get("content-length", "0")
        body = bytearray()
        if not told.isdigit() or int(told) <= most:
            async for part in request.stream():
                body += part
                if len(body) > most:
                    break
            else:
                return bytes(body)
        raise HTTPException(413, f"the image has more than {most:,} bytes")

    @serve.batch(max_batch_size=MOST_TOGETHER, batch_wait_timeout_s=PATIENCE)
    async def _answer(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        return list(await asyncio.to_thread(self._predictor.probabilities, np.stack(images)))


@contextmanager
def serving(served: Served, host: str, port: int, timeout: float) -> Iterator[None]:
    """Serve on that address, from a Ray of its own, for the block.

    Raises:
        UserError: the model cannot be loaded, or nothing can listen there.
    """
    _require_free(host, port)
    with short_enough(lambda note: print(note, file=sys.stderr, flush=True)):
        ray.init(address="local", include_dashboard=False, log_to_driver=True)
    try:
        serve.start(http_options={"host": host, "port": port, "request_timeout_s": timeout})
        handle = serve.run(Classifier.bind(served))  # type: ignore[attr-defined]  # Ray's decorator is untyped
        if trouble := handle.trouble.remote().result():
            raise UserError(trouble)
        yield
    finally:
        ray.shutdown()


def _require_free(host: str, port: int) -> None:
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        raise UserError(f"--host {host} --port {port}: {os.strerror(error.errno or 0)}; give another") from error
