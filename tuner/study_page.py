"""optuna-dashboard on the study's storage, while a search runs.

It is a process of its own, which the driver tells through a pipe what to show. The pipe's end, which comes with the
driver's, however that ends, is its own.
"""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from typing import Any, TextIO
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

HERE = "127.0.0.1"
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@contextmanager
def study_page(storage: str, terminal: TextIO) -> Iterator[str]:
    """optuna-dashboard for the block, at the address that it yields and shows on `terminal`.

    It shows and changes nothing: the searcher relies on what it wrote.

    Args:
        storage: an Optuna storage: the file of a journal, or a URL of a database.
        terminal: where to show its address.
    """
    with socket.create_server((HERE, 0)) as server:
        url = f"http://{HERE}:{server.getsockname()[1]}/dashboard/"
        # Its number is all that is said of the storage in sight of others: a URL may hold a password.
        code = f"from tuner.study_page import serve; serve({server.fileno()})"
        child = subprocess.Popen(
            [sys.executable, "-P", "-c", code],
            stdin=subprocess.PIPE,
            pass_fds=[server.fileno()],
            start_new_session=True,
        )
    assert child.stdin is not None
    try:
        child.stdin.write(f"{storage}\n".encode())
        child.stdin.flush()
        print(f"optuna-dashboard: {url}", file=terminal, flush=True)
        yield url
    finally:
        if child.poll() is not None:
            print("Note: optuna-dashboard ended before the search; its log says why", file=terminal, flush=True)
        child.kill()
        child.wait()
        child.stdin.close()


def serve(number: int) -> None:
    """Answer on a socket that was inherited, until standard input ends."""
    storage = sys.stdin.readline().rstrip("\n")
    threading.Thread(target=_end_with_input, daemon=True).start()
    from optuna.storages import JournalStorage, get_storage
    from optuna.storages.journal import JournalFileBackend
    from optuna_dashboard import wsgi

    found = get_storage(storage) if "://" in storage else JournalStorage(JournalFileBackend(storage))
    server = _Server((HERE, 0), _Quiet, bind_and_activate=False)
    server.socket.close()
    server.socket = socket.socket(fileno=number)
    server.server_name, server.server_port = HERE, server.socket.getsockname()[1]
    server.setup_environ()
    server.set_app(readable(wsgi(found)))
    server.serve_forever()


def readable(application: Application) -> Application:
    """An application that answers to who reads from this machine alone.

    A page of another site, open in the same browser, can send what changes something, or have its own name lead here.
    """

    def guarded(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        is_here = environ.get("HTTP_HOST", "").partition(":")[0] in (HERE, "localhost")  # by whichever port
        if is_here and environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return application(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "application/json")])
        return [b'{"reason": "This page shows a search that is running: nothing can be changed here."}']

    return guarded


def _end_with_input() -> None:
    sys.stdin.read()
    os._exit(0)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *values: Any) -> None:
        """Who looks at the page is no news."""
