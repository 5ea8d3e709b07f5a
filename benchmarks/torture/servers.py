"""A server that lies, at random, to kreid-embed --server."""

import gzip
import json
import os
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.torture.batches import batch, invoke
from benchmarks.torture.bench import Bench
from benchmarks.torture.outcomes import LOST, NOTICED, RIGHT, SILENT, Outcome, fault_of
from benchmarks.torture.trials import Trial
from tfrecords_tools.arrays import read_arrays

_OTHER = [
    b"", b"SSH-2.0-OpenSSH_9.6\r\n", b"\x15\x03\x01\x00\x02\x02\x28", b"220 mail ESMTP\r\n", b"* OK IMAP4\r\n",
    b"-ERR unknown command\r\n", b"HTTP/1.1 200", b"HTTP/9.9 200 OK\r\n\r\n", b"HTTP/1.1 abc OK\r\n\r\n",
    bytes(range(256)) * 4, b"ICY 200 OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 300, b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}",
]  # fmt: skip


def servers(bench: Bench, rng: random.Random, scale: float) -> list[Trial]:
    """Batches of answers."""
    return [Trial("a server that lies", partial(_batch, max(1, round(300 * scale)))) for _ in range(2)]


def _batch(count: int, bench: Bench, rng: random.Random, folder: Path) -> list[Outcome]:
    return batch(((f"answer {number}", partial(ask, bench, rng, folder)) for number in range(count)), folder)


def ask(bench: Bench, rng: random.Random, folder: Path) -> Outcome:
    """One question to a server; what it answers is right in some of the tries."""
    os.environ["no_proxy"] = "*"
    images = sorted(bench.images.glob("*.png"))[: rng.randint(1, 4)]
    vectors = _unit(rng, len(images))
    answer, right, name = _answer(rng, vectors)
    out = folder / "embedded.npz"
    for left in (out, out.with_name(f"{out.name}.journal")):  # of the question before, which would be gone on with
        left.unlink(missing_ok=True)
    with _serving(answer) as address:
        ended = invoke("kreid-embed", bench.run, *images, "--out", out, "--server", address, "--patience", 0)
    if broken := fault_of(ended):
        return Outcome(broken.what, f"{name}: {broken.note}")
    if ended.code:
        what = LOST if right else SILENT if out.exists() else NOTICED
        return Outcome(what, f"{name}, exit code {ended.code}, right {right}, written {out.exists()}: {ended.line}")
    same = out.exists() and np.array_equal(read_arrays(out)["vectors"], vectors.astype(np.float32))
    return Outcome(RIGHT if right and same else SILENT, f"{name}: was written")


def _unit(rng: random.Random, count: int) -> np.ndarray:
    vectors = np.array([[rng.gauss(0, 1) for _ in range(8)] for _ in range(count)])
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _answer(rng: random.Random, vectors: np.ndarray) -> tuple[bytes, bool, str]:
    """An answer, whether it is a right one, and its name."""
    if rng.random() < 0.1:
        return rng.choice(_OTHER), False, "another protocol"
    name, body = rng.choice(_bodies(rng, vectors))
    status = rng.choice(
        [*["200 OK"] * 20, "201 Created", "204 No Content", "206 Part", "404 No", "500 Oh", "301 Moved", "999 X"]
    )
    framing, whole, sent = rng.choice([*_framings(rng, body)])
    right = name == "right" and whole and status == "200 OK"
    return f"HTTP/1.1 {status}\r\nConnection: close\r\n".encode() + sent, right, f"{status}, {framing}, {name}"


def _bodies(rng: random.Random, vectors: np.ndarray) -> list[tuple[str, bytes]]:
    rows = vectors.tolist()
    spoilt = [row.copy() for row in rows]
    spoilt[-1][rng.randrange(8)] = rng.choice([float("nan"), float("inf"), None, "1", [1.0], True, 1e308, 10**400, {}])
    wrong = {
        "fewer": rows[:-1],
        "more": [*rows, rows[0]],
        "longer": [*rows[:-1], [value * 1.5 for value in rows[-1]]],
        "zeros": [[0.0] * 8 for _ in rows],
        "ragged": [*rows, rows[0][:-1]],
        "spoilt": spoilt,
        "numbers": [1.0] * len(rows),
        "maps": [[rows]],
        "null": None,
        "dicts": [{"embedding": row} for row in rows],
        "text": "predictions",
    }
    bodies = [("right", json.dumps({"predictions": rows}).encode())] * 8
    bodies += [(name, json.dumps({"predictions": value}).encode()) for name, value in wrong.items()]
    return [*bodies, ("no key", b'{"outputs": []}'), ("no JSON", b"<html>"), ("nothing", b""), ("deep", b"[" * 100_000)]


def _framings(rng: random.Random, body: bytes) -> Iterator[tuple[str, bool, bytes]]:
    """Ways to send a body: name, whether all of it arrives, headers and bytes."""
    size = f"Content-Length: {len(body)}\r\n\r\n".encode()
    chunk = f"{len(body):x}\r\n".encode() + body + b"\r\n"
    packed = gzip.compress(body)
    last = rng.randrange(len(body) + 1)
    for _ in range(6):
        yield "whole", True, size + body
    yield "until the end", True, b"\r\n" + body
    yield "in chunks", bool(body), b"Transfer-Encoding: chunked\r\n\r\n" + chunk + b"0\r\n\r\n"
    yield "packed", True, f"Content-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n".encode() + packed
    yield "cut", last == len(body), size + body[:last]
    yield "cut, until the end", last == len(body), b"\r\n" + body[:last]
    yield "a chunk cut", False, b"Transfer-Encoding: chunked\r\n\r\n" + chunk[: rng.randrange(len(chunk))]
    yield "packed, cut", False, b"Content-Encoding: gzip\r\n\r\n" + packed[: rng.randrange(len(packed) - 9)]
    yield "not packed", False, b"Content-Encoding: gzip\r\n" + size + body


@contextmanager
def _serving(answer: bytes) -> Iterator[str]:
    """A server on loopback that gives one answer to the first question; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)

        def serve() -> None:
            with suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    _receive(connection)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1/models/kreid"
        with suppress(OSError):
            socket.create_connection(server.getsockname(), timeout=1).close()  # where nobody has asked
        thread.join(30)


def _receive(connection: socket.socket) -> None:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(1 << 16)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(1 << 16)
