"""The client that can be left alone: what passes is sent again, what was answered is kept. No test waits."""

import json
import socket
import struct
from email.utils import formatdate

import numpy as np
import pytest
from lying_server import answering, http
from odd_images import READ

from kreid.errors import ConfigError
from kreid.serving import rest
from kreid.serving.client import Settings, embed_remotely
from kreid.serving.journal import Journal
from kreid.serving.retries import Retries

ROWS = [[0.6, 0.8], [1.0, 0.0], [0.0, -1.0]]
EACH = Settings(batch_size=1, at_once=1)
WHOLE = Settings(at_once=1)


def right(*rows):
    return http(json.dumps({"predictions": rows or ROWS}).encode())


def reset(connection):
    """Close as a machine that has gone away does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def silent(connection):
    connection.settimeout(2)
    connection.recv(1)  # until the client leaves


BUSY = {
    "429": http(b"{}", "429 Too Many Requests"),
    "500": http(b"{}", "500 Internal Server Error"),
    "502": http(b"{}", "502 Bad Gateway"),
    "503": http(b"{}", "503 Service Unavailable"),
    "504": http(b"{}", "504 Gateway Timeout"),
    "cut short": right()[:-5],
}


class Clock:
    """Time that passes by sleeping alone."""

    def __init__(self):
        self.now, self.slept = 0.0, []

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds

    def retries(self, patience=300.0):
        return Retries(patience, lambda: self.now, self.sleep, chance=lambda: 1.0)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def images(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    for number, kind in enumerate(("PNG RGB", "PNG L", "JPEG RGB")):
        (tmp_path / f"{number}.png").write_bytes(READ[kind])
    return sorted(tmp_path.glob("*.png"))


@pytest.mark.parametrize("kind", BUSY)
def test_what_passes_is_sent_again_after_longer_and_longer_pauses(images, clock, kind):
    with answering(*[BUSY[kind]] * 3, right()) as (address, received):
        assert embed_remotely(address, images, WHOLE, retries=clock.retries()).tolist() == pytest.approx(np.array(ROWS))
    assert clock.slept == [0.5, 1, 2]
    assert len(set(received)) == 1
    assert len(received) == 4


@pytest.mark.parametrize("failure", [reset, silent])
def test_a_server_that_has_answered_once_may_leave_and_come_back(images, clock, failure):
    settings = Settings(batch_size=1, at_once=1, timeout=0.1)
    with answering(right(ROWS[0]), failure, right(ROWS[1]), right(ROWS[2])) as (address, _):
        vectors = embed_remotely(address, images, settings, retries=clock.retries())
    np.testing.assert_allclose(vectors, ROWS)
    assert clock.slept == [0.5]


def test_one_who_has_never_answered_is_asked_three_times(images, clock):
    with answering(reset) as (address, received), pytest.raises(ValueError, match="no usable answer"):
        embed_remotely(address, images, WHOLE, retries=clock.retries())
    assert len(received) == 3
    assert clock.slept == [0.5, 1]


def test_one_who_answers_at_last_is_no_stranger(images, clock):
    with answering(reset, reset, BUSY["503"], reset, right()) as (address, received):
        embed_remotely(address, images, WHOLE, retries=clock.retries())
    assert len(received) == 5


def test_the_server_says_when_to_come_back(images, clock, monkeypatch):
    monkeypatch.setattr(rest.time, "time", lambda: 1_000_000.0)
    date = formatdate(1_000_042, usegmt=True)
    asked = [http(b"{}", "429 Busy", f"Retry-After: {value}") for value in ("7", date, "soon")]
    with answering(*asked, right()) as (address, _):
        embed_remotely(address, images, WHOLE, retries=clock.retries())
    assert clock.slept == [7, 42, 2]


def test_patience_ends(images, clock):
    with (
        answering(BUSY["503"]) as (address, received),
        pytest.raises(ValueError, match=r"answered 503 \({}\); tried 5 times in 8 s, patience is 10 s"),
    ):
        embed_remotely(address, images, WHOLE, retries=clock.retries(10))
    assert clock.slept == [0.5, 1, 2, 4]
    assert len(received) == 5


def test_a_pause_longer_than_patience_is_not_begun(images, clock):
    late = http(b"{}", "503 Off", "Retry-After: 3600")
    with (
        answering(late) as (address, _),
        pytest.raises(ValueError, match="tried once in 0 s, and it asks for 3,600 s more, patience is 300 s"),
    ):
        embed_remotely(address, images, WHOLE, retries=clock.retries())
    assert clock.slept == []


def test_a_failure_loses_nothing(images, clock, tmp_path):
    path, told = tmp_path / "x.journal", []
    gone = http(b"{}", "404 Not Found")
    with answering(right(ROWS[0]), right(ROWS[1]), gone) as (address, _):
        with pytest.raises(ValueError, match="answered 404"):
            embed_remotely(address, images, EACH, Journal(path, address), lambda *so_far: told.append(so_far))
        assert told == [(1, 3), (2, 3)]
        with pytest.raises(ConfigError, match="give --resume, or delete it"):
            Journal(path, address)
        journal = Journal(path, address, resume=True)
        assert len(journal.vectors) == 2
    with answering(right(ROWS[0]), right(ROWS[2])) as (address, received):
        journal.server = address  # another port
        vectors = embed_remotely(address, images, EACH, journal, lambda *so_far: told.append(so_far))
    np.testing.assert_allclose(vectors, ROWS)
    assert told[2:] == [(3, 3)]
    assert len(received) == 2  # to hold the journal against the model, and what was left


def test_a_bad_file_costs_what_is_after_it_alone(images, tmp_path):
    images[2].write_bytes(b"no image")
    journal = Journal(tmp_path / "x.journal", "s")
    with answering(right(ROWS[0]), right(ROWS[1])) as (address, _), pytest.raises(ValueError, match=r"2\.png"):
        embed_remotely(address, images, EACH, journal)
    assert len(journal.vectors) == 2


def test_an_image_that_was_changed_is_asked_for_again_and_one_that_is_there_twice_once(images, tmp_path):
    journal = Journal(tmp_path / "x.journal", "s")
    with answering(right(*ROWS)) as (address, _):
        embed_remotely(address, images, WHOLE, journal)
    images[1].write_bytes(READ["PNG P"])
    with answering(right(ROWS[0]), right([0.8, 0.6])) as (address, received):
        vectors = embed_remotely(address, [*images, images[1]], WHOLE, journal)
    np.testing.assert_allclose(vectors, [ROWS[0], [0.8, 0.6], ROWS[2], [0.8, 0.6]])
    assert len(received) == 2


def test_a_model_that_has_changed_meanwhile_is_noticed(images, tmp_path):
    journal = Journal(tmp_path / "x.journal", "s")
    with answering(right(*ROWS)) as (address, _):
        embed_remotely(address, images, WHOLE, journal)
    with (
        answering(right([0.8, 0.6])) as (address, _),
        pytest.raises(ValueError, match="another version been rolled out"),
    ):
        embed_remotely(address, images, WHOLE, journal)
