"""The end of a connection whose client has sent more than was read."""

from __future__ import annotations

import socket
from threading import BoundedSemaphore, Thread

from mediahub.gunicorn_worker import ReadingSocket


def test_an_answer_arrives_though_not_all_was_read() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname(), timeout=60)
        accepted, _ = listener.accept()
    server = ReadingSocket(
        accepted.family, accepted.type, accepted.proto, fileno=accepted.detach()
    )
    server.slots = BoundedSemaphore(1)
    client.sendall(b"a body that nobody reads")
    server.recv(1)
    server.sendall(b"refused")

    def end() -> None:
        server.linger()
        server.close()

    ending = Thread(target=end)
    ending.start()
    with client:
        # A connection that is closed with unread bytes is reset, and may take the answer with it.
        assert b"".join(iter(lambda: client.recv(100), b"")) == b"refused"
    ending.join()
