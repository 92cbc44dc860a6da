"""Ways in which a server can answer badly, and a server that always does."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Send = Callable[[bytes], object]
_JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n"
_PAGE = b"<html><head><title>Sign in</title></head><body><h1>Company portal</h1></body></html>"


def html(send: Send, _: threading.Event) -> None:
    """A page for people, such as a proxy's sign-in form, with status 200."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n"
    send(head % len(_PAGE) + _PAGE)


def cut(send: Send, _: threading.Event) -> None:
    """The beginning of an answer, and then the end of the connection."""
    send(_JSON + b'{"Items": [{"WebId": "F1DP')


def hang(_: Send, stop: threading.Event) -> None:
    """Nothing at all."""
    stop.wait(30)


def trickle(send: Send, stop: threading.Event) -> None:
    """An answer that comes a byte at a time, so that no single wait is long."""
    send(_JSON)
    while not stop.wait(0.05):
        send(b" ")


FAULTS = {fault.__name__: fault for fault in (html, cut, hang, trickle)}


@contextmanager
def broken_server(fault: str) -> Iterator[str]:
    """A server that answers every call with the fault of that name; gives its URL."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0), backlog=50) as listener:
        listener.settimeout(0.1)

        def accept() -> None:
            while not stop.is_set():
                with suppress(TimeoutError):
                    threading.Thread(target=answer, args=[listener.accept()[0]], daemon=True).start()

        def answer(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                connection.recv(65_536)
                FAULTS[fault](connection.sendall, stop)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/piwebapi"
        finally:
            stop.set()
            thread.join(5)
