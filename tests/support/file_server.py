"""A server on loopback that hands out files, from any byte on, to who knows the password."""

import base64
import contextlib
import http.server
import re
import threading


class Shelf:
    """What the server holds and how it behaves.

    Attributes:
        files: contents by path.
        password: that is asked for; None for none.
        ranges: whether it sends a part of a file where one is asked for.
        cut: bytes of an answer after which it hangs up; None for never.
        status: with which every request is answered instead; None for none.
        told: what it says of a file's length, None for the truth.
        asked: method, path and range of each request.
    """

    def __init__(self, files, password=None):
        self.files, self.password = files, password
        self.ranges, self.cut, self.status, self.told, self.part = True, None, None, None, None
        self.asked = []
        self.address = ""


@contextlib.contextmanager
def serving(files, password=None):
    """Give a `Shelf`, served at its `address`."""
    shelf = Shelf(files, password)

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *words):
            pass

        def do_HEAD(self):
            self.answer(body=False)

        def do_GET(self):
            self.answer(body=True)

        def answer(self, body):
            start = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            shelf.asked.append((self.command, self.path, self.headers.get("Range")))
            content = shelf.files.get(self.path)
            key = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic ")).partition(b":")[2]
            status = 401 if shelf.password not in (None, key.decode()) else 404 if content is None else 200
            if (shelf.status or status) != 200:
                self.send_error(shelf.status or status)
                return
            first = int(start[1]) if start and shelf.ranges else 0
            self.send_response(206 if first else 200)
            if first:
                self.send_header("Content-Range", shelf.part or f"bytes {first}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(shelf.told or len(content) - first))
            self.end_headers()
            if body:
                self.wfile.write(content[first:][: shelf.cut])

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        shelf.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield shelf
        finally:
            server.shutdown()
            thread.join()
