"""A server on loopback that answers every request with the bytes that it was given, whatever they are."""

import contextlib
import re
import socket
import threading


@contextlib.contextmanager
def answering(*answers):
    """Serve each answer once, in order, the last one from then on; gives the address and the list of bodies received.

    An answer is bytes, or a function of the connection.
    """
    received, stopped = [], threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)

        def serve():
            with contextlib.suppress(OSError):
                while not stopped.is_set():
                    connection, _ = server.accept()
                    with connection, contextlib.suppress(OSError):
                        if stopped.is_set():
                            return
                        received.append(_read(connection))
                        answer = answers[min(len(received), len(answers)) - 1]
                        answer(connection) if callable(answer) else connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/v1/models/kreid", received
        finally:
            stopped.set()
            with contextlib.suppress(OSError):
                socket.create_connection(server.getsockname()).close()  # wakes `accept`
            thread.join()


def http(body, status="200 OK", *headers):
    """An HTTP answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _read(connection):
    """The body of a request."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(1 << 16)
        if not part:
            return data
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    said = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    length = int(said[1]) if said else 0  # of a GET
    while len(body) < length:
        body += connection.recv(1 << 16)
    return body
