"""kreid-embed --server: whatever a server answers, vectors that are none are not written, and one line says why."""

import base64
import contextlib
import gzip
import json
import socket

import numpy as np
import pytest
from lying_server import answering, http
from odd_images import READ, REFUSED
from tiny_runs import invoke

from kreid.cli import embed
from kreid.serving import client, rest
from tfrecords_tools.console import progress

KINDS = ("PNG RGB", "PNG L", "JPEG RGB")  # of images, each its own
RIGHT = [[0.6, 0.8], [1.0, 0.0], [0.0, -1.0]]


def predictions(rows):
    return http(json.dumps({"predictions": rows}).encode())


@pytest.fixture
def images(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    for number, kind in enumerate(KINDS):
        (tmp_path / f"{number}.png").write_bytes(READ[kind])
    return sorted(tmp_path.glob("*.png"))


@pytest.fixture
def asked(tmp_path, images, capsys, monkeypatch):
    """Ask a server for three vectors: exit code, standard error, and what was written."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").touch()
    monkeypatch.setattr(embed, "load_tensorflow", None)  # calling it would fail
    out = tmp_path / "x.npz"

    def ask(server, option="--server", *more):
        line = [tmp_path / "run", *images, "--out", out, option, server, "--patience", 0, *more]
        code, lines, err = invoke(capsys, embed.app, *line)
        assert lines == ([str(out)] if code == 0 else [])
        return code, err, out

    return ask


def test_a_right_answer_is_written(asked, images):
    with answering(predictions(RIGHT)) as (address, received):
        code, err, out = asked(address + "/", "--endpoint")  # the older name
    assert (code, err) == (0, "")
    with np.load(out) as written:
        np.testing.assert_allclose(written["vectors"], RIGHT)
        assert written["path"].tolist() == list(map(str, images))
    sent = json.loads(received[0])
    assert sent["signature_name"] == "encoded"
    assert [base64.b64decode(one["image_bytes"]["b64"]) for one in sent["instances"]] == [READ[kind] for kind in KINDS]


def test_an_image_that_the_server_cannot_read_costs_no_other(asked, images):
    """`ok` is false of it: a row of zeros. What the others were answered is kept, and goes into the next call."""
    with answering(predictions([[0.0, 0.0], *RIGHT[1:]])) as (address, _):
        code, err, out = asked(address)
        kept, why = err.splitlines()
        assert code == 1
        assert kept == f"{out}.journal: 2 vectors are kept; --resume goes on with them"
        assert f"could not read 1 of 3 images ({images[0]}); are they larger than the --max-pixels" in why
        assert not out.exists()
        code, err, _ = asked(address)
        assert (code, err) == (
            2,
            f"error: {out}.journal: holds answers of an earlier call; give --resume, or delete it\n",
        )


def test_an_interrupted_call_goes_on(asked, monkeypatch):
    def interrupt(done, total):
        raise KeyboardInterrupt

    first, *others = ([row] for row in RIGHT)
    with answering(*map(predictions, [first, first, *others])) as (address, received):
        with monkeypatch.context() as patched:
            patched.setattr(progress, "counted", lambda what: contextlib.nullcontext(interrupt))
            code, err, out = asked(address, "--server", "--batch", 1, "--requests", 1)
        assert code == 130
        assert err.startswith(f"{out}.journal: 1 vectors are kept; --resume goes on with them\n")
        assert len(received) == 1
        code, err, out = asked(address, "--server", "--batch", 1, "--requests", 1, "--resume")
    assert (code, err) == (0, "")
    assert len(received) == 4  # one of them holds the journal against the model
    with np.load(out) as written:
        np.testing.assert_allclose(written["vectors"], RIGHT)
    assert not out.with_name("x.npz.journal").exists()


PART = b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"predictions": [[0.6, 0.8], [1'
CHUNK = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CASES = {
    "fewer": (predictions(RIGHT[:2]), "expected 3 vectors, one for each image, received 2; is that a model that"),
    "more": (predictions([*RIGHT, RIGHT[0]]), "expected 3 vectors, one for each image, received 4"),
    "none": (predictions([]), "expected 3 vectors, one for each image, received 0"),
    "a number an image": (predictions([1.0, 1.0, 1.0]), "expected a list of numbers for each image, received [1.0,"),
    "maps": (predictions([[[1.0]]] * 3), "expected vectors of one length of numbers"),
    "text": (predictions([["1"]] * 3), "expected vectors of one length of numbers"),
    "true": (predictions([[True]] * 3), "expected vectors of one length of numbers"),
    "several lengths": (predictions([[1.0], [1.0], [0.6, 0.8]]), "of numbers, received lengths [1, 2]"),
    "empty vectors": (predictions([[]] * 3), "of numbers, received lengths [0]"),
    "null": (predictions(None), "expected a list of numbers for each image, received None"),
    "a dict": (predictions({"embedding": RIGHT}), "expected a list of numbers for each image, received {'embed"),
    "dicts": (predictions([{"embedding": row} for row in RIGHT]), "expected a list of numbers for each image"),
    "NaN": (predictions([[float("nan"), 0.0], *RIGHT[1:]]), "expected vectors of length 1, received one of length nan"),
    "infinite": (predictions([[float("inf"), 0.0], *RIGHT[1:]]), "received one of length inf"),
    "a huge integer": (predictions([[10**400, 0], *RIGHT[1:]]), "received one of length inf"),
    "too long": (predictions([*RIGHT[:2], [0.0, 1.002]]), "received one of length 1.002"),
    "no key": (http(b'{"outputs": []}'), 'expected JSON with "predictions", received b\'{"outputs'),
    "a list": (http(b"[1, 2]"), 'expected JSON with "predictions"'),
    "no JSON": (http(b"<html>"), "expected JSON with \"predictions\", received b'<html>'"),
    "nothing": (http(b""), "expected JSON with \"predictions\", received b''"),
    "another encoding": (http(json.dumps({"predictions": RIGHT}).encode("utf-16")[2:-1]), 'JSON with "predictions"'),
    "nested": (http(b"[" * 200_000), 'expected JSON with "predictions"'),
    "an error": (http(b'{"error": "no\n such model"}', "404 Not Found"), 'answered 404 ({"error": "no such model"})'),
    "redirected": (http(b"", "301 Moved", "Location: http://127.0.0.1:1/x"), "is elsewhere, at http://127.0.0.1:1/x"),
    "redirected nowhere": (http(b"", "302 Found"), "is elsewhere, at None"),
    "cut short": (PART, "no usable answer ("),
    "cut in a chunk": (CHUNK + b"fff\r\n{", "no usable answer ("),
    "a wrong chunk": (CHUNK + b"zz\r\n{", "no usable answer ("),
    "closed": (b"", "no usable answer ("),
    "another protocol": (b"SSH-2.0-OpenSSH_9.6\r\n", "no usable answer ("),
    "binary": (bytes(range(256)) * 8, "no usable answer ("),
    "endless headers": (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 1000, "no usable answer ("),
    "a wrong length": (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}", 'expected JSON with "predictions"'),
    "no gzip": (http(b"{}", "200 OK", "Content-Encoding: gzip"), "no usable answer ("),
}


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_answer_is_told_in_a_line_and_nothing_is_written(asked, case):
    answer, message = CASES[case]
    with answering(answer) as (address, _):
        code, err, out = asked(address)
    assert code == 1
    assert err.startswith(f"error: server {address}:predict: ")
    assert message in err
    assert err.count("\n") == 1
    assert not out.exists()


def test_later_requests_are_held_against_the_first(images):
    two = client.Settings(batch_size=2, at_once=1)
    one, other = predictions([[1.0, 0.0]] * 2), predictions([[1.0]])
    with answering(one, other) as (address, _), pytest.raises(ValueError, match="of 2 numbers, as before, received 1"):
        client.embed_remotely(address, images, two)
    with answering(one, predictions([[0.0, 1.0]])) as (address, received):
        assert client.embed_remotely(address, images, two).tolist() == [[1, 0], [1, 0], [0, 1]]
    assert len(received) == 2


def test_a_compressed_answer_is_read(images):
    body = gzip.compress(json.dumps({"predictions": RIGHT}).encode())
    with answering(http(body, "200 OK", "Content-Encoding: gzip")) as (address, _):
        assert client.embed_remotely(address, images).shape == (3, 2)


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "compressed"])
def test_an_answer_without_end_is_left(images, monkeypatch, packed):
    monkeypatch.setattr(rest, "_MOST", 1000)
    body = bytes(10_000_000)
    body = http(gzip.compress(body), "200 OK", "Content-Encoding: gzip") if packed else http(body)
    with (
        answering(body) as (address, _),
        pytest.raises(ValueError, match="answered more than the 4,000 bytes that these images can have"),
    ):
        client.embed_remotely(address, images)


def test_an_answer_byte_by_byte_ends_in_time(images):
    def drip(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b" ")

    with answering(drip) as (address, _), pytest.raises(ValueError, match="did not end its answer in time"):
        client.embed_remotely(address, images, client.Settings(timeout=0.05, patience=0))


def test_a_server_that_says_nothing_ends_in_time(images):
    def wait(connection):
        connection.settimeout(2)
        connection.recv(1)  # until the client leaves

    with answering(wait) as (address, _), pytest.raises(ValueError, match=r"no usable answer \(.*timed? ?out"):
        client.embed_remotely(address, images, client.Settings(timeout=0.05, patience=0))


def test_nobody_there(asked):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    code, err, out = asked(f"http://127.0.0.1:{port}/v1/models/kreid")
    assert code == 1
    assert "refused" in err
    assert err.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize(
    "address",
    [
        "", "localhost:8501", "ftp://h/v1/models/x", "http://", "http:///v1", "http://h:port/v1", "http://h:99999/v1",
        "http://h:8501/v1/models/a b", "http://a b/v1", "http://h/v1?x=1", "http://u:p@h/v1", "http://h\n/v1", "http://[::1/v1",
        "http://h\udce9/v1", "http://h#x", "http://h:8501", "http://h/", "grpc://h:8500", "grpc://h:8500/kreid", "grpc://h:8500/v1/models/x/versions/two",
    ],
)  # fmt: skip
def test_an_address_that_is_none(asked, address):
    code, err, _ = asked(address)
    assert code == 2
    assert "expected http://HOST:8501/v1/models/NAME" in err
    assert err.count("\n") == 1


def test_what_is_no_image_is_not_sent(images):
    images[1].write_bytes(REFUSED["WEBP"])
    with (
        answering(predictions(RIGHT)) as (address, received),
        pytest.raises(ValueError, match=r"1\.png: is a WEBP image; only PNG and JPEG are read"),
    ):
        client.embed_remotely(address, images)
    assert received == []
