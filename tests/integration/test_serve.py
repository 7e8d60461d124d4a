"""A real server: what it answers to images, and to what is none."""

import io
import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.integration.test_search import ROOT
from tests.results.test_export import network


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, port = tmp_path_factory.mktemp("served"), free_port()
    network(0).save(folder / "model.keras")
    (folder / "model.labels.json").write_text(json.dumps(["cat", "<script>dog", "cow"]))
    (folder / "samples").mkdir()
    Image.new("RGB", (20, 20), "red").save(folder / "samples" / "red.png")
    command = [
        "serve.py",
        "model.keras",
        "--port",
        port,
        "--most-mb",
        0.05,
        "--samples",
        "samples",
        "--log",
        "serve.log",
    ]
    server = subprocess.Popen(
        [sys.executable, *(str(ROOT / "scripts" / part) if part == "serve.py" else str(part) for part in command)],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ,
    )  # fmt: skip
    assert server.stdout is not None
    first = server.stdout.readline()
    assert f"http://127.0.0.1:{port}" in first, first + server.stdout.read()
    yield f"http://127.0.0.1:{port}"
    server.send_signal(2)
    assert server.wait(60) == 0


def post(url: str, body: bytes) -> tuple[int, dict[str, object]]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=30) as reply:
            return reply.status, json.loads(reply.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_an_image_is_classified(address: str, tmp_path: Path) -> None:
    Image.new("RGB", (50, 40), "green").save(tmp_path / "image.jpg")
    status, answer = post(f"{address}/classify?top=2", (tmp_path / "image.jpg").read_bytes())
    assert status == 200
    classes = answer["classes"]
    assert isinstance(classes, list)
    assert len(classes) == 2
    assert classes[0]["probability"] >= classes[1]["probability"]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"not an image", 415, "not an image that Pillow knows"),
        (b"", 415, "not an image that Pillow knows"),
        (b"x" * 60_000, 413, "more than 50,000 bytes"),
    ],
)
def test_what_is_no_image_or_too_large_is_refused(address: str, body: bytes, status: int, said: str) -> None:
    found, answer = post(f"{address}/classify", body)
    assert found == status
    assert said in str(answer["detail"])


def test_a_bomb_of_pixels_is_refused(address: str, tmp_path: Path) -> None:
    Image.new("1", (20000, 20000)).save(tmp_path / "bomb.png", optimize=True)
    packed = (tmp_path / "bomb.png").read_bytes()
    assert len(packed) < 60_000
    status, answer = post(f"{address}/classify", packed)
    assert status in (413, 415), answer


def test_the_page_escapes_names_and_fetches_nothing_from_elsewhere(address: str) -> None:
    with urllib.request.urlopen(f"{address}/", timeout=30) as reply:
        page = reply.read().decode()
        assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
    assert "&lt;script&gt;dog" in page
    assert "<script>dog" not in page
    assert "http://" not in page
    assert "https://" not in page
    with urllib.request.urlopen(f"{address}/samples/0", timeout=30) as reply:
        assert reply.headers["Content-Type"] == "image/png"


def test_many_at_once_get_each_their_own_answer(address: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def image(number: int) -> bytes:
        pixels = np.random.default_rng(number).integers(0, 256, (20, 20, 3), dtype=np.uint8)
        body = io.BytesIO()
        Image.fromarray(pixels).save(body, "PNG")
        return body.getvalue()

    def probabilities(body: bytes) -> dict[str, float]:
        status, answer = post(f"{address}/classify", body)
        assert status == 200
        return {one["class"]: one["probability"] for one in answer["classes"]}  # type: ignore[attr-defined]

    bodies = [image(number) for number in range(24)]
    alone = [probabilities(body) for body in bodies]
    with ThreadPoolExecutor(16) as pool:
        together = list(pool.map(probabilities, bodies))
    for one, other in zip(alone, together, strict=True):
        assert other == pytest.approx(one, abs=1e-5)
    assert len({round(max(one.values()), 6) for one in alone}) > 12, "they differ"


@pytest.mark.parametrize("taken", [False, True])
def test_what_cannot_be_served_is_named(tmp_path: Path, taken: bool) -> None:
    (tmp_path / "model.keras").write_bytes(b"PK\x03\x04 not all of it")
    if taken:  # that is seen before the model is loaded
        zipfile.ZipFile(tmp_path / "model.keras", "w").close()
    port = free_port()
    with socket.create_server(("127.0.0.1", port)) if taken else nullcontext():
        command = [sys.executable, ROOT / "scripts" / "serve.py", "model.keras", "--port", str(port)]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=os.environ, timeout=120)
    assert ended.returncode == 2
    said = f"--port {port}: " if taken else "model.keras is not a model that Keras can load"
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
