"""TF_CONFIG as people write it, and the meeting of all workers before TensorFlow waits for anyone."""

import json
import socket
import threading
import time

import pytest

from kreid.errors import ConfigError
from kreid.training.workers import Cluster, meet, read_cluster


@pytest.fixture
def cluster_of():
    """Clusters of so many workers on free ports of this machine."""

    def make(count):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        addresses = (f"127.0.0.1:{port}", *(f"127.0.0.1:{port + i}" for i in range(1, count)))
        return [Cluster(addresses, index) for index in range(count)]

    return make


def meet_all(clusters, facts, minutes=0.1):
    """What `meet` raises, or None, in each worker; all start at once."""
    raised = {}

    def run(cluster, fact):
        try:
            meet(cluster, fact, minutes)
            raised[cluster.index] = None
        except ValueError as error:
            raised[cluster.index] = error

    threads = [threading.Thread(target=run, args=pair) for pair in zip(clusters, facts, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return [raised[cluster.index] for cluster in clusters]


def set_config(monkeypatch, cluster, task):
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": task}))


def test_cluster_is_read_with_the_chief_first(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert read_cluster() is None
    for nothing in ("", "{}"):
        monkeypatch.setenv("TF_CONFIG", nothing)
        assert read_cluster() is None
    set_config(monkeypatch, {"worker": ["a:1", "b:2"]}, {"type": "worker", "index": 1})
    assert read_cluster() == Cluster(("a:1", "b:2"), 1)
    set_config(monkeypatch, {"worker": ["b:2", "c:3"], "chief": ["a:1"]}, {"type": "worker", "index": 1})
    assert read_cluster() == Cluster(("a:1", "b:2", "c:3"), 2)
    assert read_cluster().name(2) == "worker 2 (c:3)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{cluster", "TF_CONFIG: not JSON .*'{cluster'"),
        ("[1]", 'expected {"cluster": {"worker": .*received \\[1\\]'),
        ('{"cluster": {"worker": ["a:1"]}}', 'expected {"cluster"'),
        ('{"cluster": {"worker": ["a"]}, "task": {"type": "worker", "index": 0}}', "such as 10.0.0.1:2222, .*'a'"),
        ('{"cluster": {"worker": ["a:x"]}, "task": {"type": "worker", "index": 0}}', "received 'a:x'"),
        ('{"cluster": {"worker": ["a:1", "a:1"]}, "task": {"type": "worker", "index": 0}}', "different address"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}', "index 1 is not in the cluster"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": "0"}}', "index '0' is not"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "chief", "index": 0}}', "1 of type worker"),
        ('{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "ps", "index": 0}}', "only, received ps"),
    ],
)
def test_mistakes_in_the_variable_are_one_clear_line(monkeypatch, text, message):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ConfigError, match=message) as error:
        read_cluster()
    assert "\n" not in str(error.value)


def test_workers_that_agree_go_on_in_any_order(cluster_of):
    clusters = cluster_of(3)
    assert meet_all(clusters, [{"records": "5 images"}] * 3) == [None] * 3
    assert meet_all(clusters[::-1], [{"records": "5 images"}] * 3) == [None] * 3  # and the port is free again
    meet(Cluster(("127.0.0.1:1",), 0), {}, 0.1)  # nobody to wait for


def test_a_worker_that_never_comes_stops_the_others(cluster_of):
    clusters = cluster_of(3)
    errors = meet_all(clusters[:2], [{}] * 2, minutes=0.01)
    for error in errors:
        assert str(error).startswith(f"worker 2 ({clusters[2].addresses[2]}) did not come within 0.01 minutes")
        assert not isinstance(error, ConfigError)


def test_a_chief_that_never_comes_is_named(cluster_of):
    clusters = cluster_of(2)
    with pytest.raises(ValueError, match=r"worker 0 \(127.0.0.1:\d+\) did not answer within 0.01 minutes"):
        meet(clusters[1], {}, 0.01)


@pytest.mark.parametrize(
    ("theirs", "said", "more"),
    [
        ({"loss.margin": 0.5}, "loss.margin 0.5, worker 0 ({}) 0.3; ", ""),
        ({"loss.margin": "soft", "data.size": [9]}, "data.size [9], worker 0 ({}) [8]; ", "loss.margin; "),
        ({"data.size": None, "a": 1, "b": 2, "c": 3}, "data.size None, worker 0 ({}) [8]; ", "a, b, c; "),
        (
            {"data.size": None, "loss.margin": 0.5, "a": 1, "b": 2, "c": 3},
            "data.size None, worker 0 ({}) [8]; ",
            "loss.margin, a, b, ...; ",
        ),
    ],
)
def test_a_worker_with_other_facts_stops_all(cluster_of, theirs, said, more):
    clusters, facts = cluster_of(2), {"data.size": [8], "loss.margin": 0.3}
    chief, other = clusters[0].addresses
    for error in meet_all(clusters, [facts, facts | theirs]):
        assert isinstance(error, ConfigError)
        also = f"they also differ in {more}" if more else ""
        assert str(error) == (
            f"worker 1 ({other}) has {said.format(chief)}{also}give all the same configuration, data and run folder"
        )


def test_a_stranger_at_the_port_is_no_worker(cluster_of):
    clusters = cluster_of(2)
    port = int(clusters[0].addresses[0].rpartition(":")[2])

    def disturb():
        for _ in range(50):
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                    connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
                return
            except OSError:
                time.sleep(0.02)

    stranger = threading.Thread(target=disturb)
    stranger.start()
    chief = threading.Thread(target=meet_all, args=([clusters[0]], [{}]))
    chief.start()
    stranger.join(10)
    assert meet_all([clusters[1]], [{}]) == [None]
    chief.join(10)


@pytest.mark.parametrize("index", [0, 1])
def test_a_port_in_use_is_named(cluster_of, index):
    """Worker 0 cannot tell others when its own port is taken; another worker has nobody to tell it to here."""
    cluster = cluster_of(2)[index]
    with (
        socket.create_server(("", int(cluster.addresses[index].rpartition(":")[2]))),
        pytest.raises(ConfigError) as error,
    ):
        meet(cluster, {}, 0.01)
    assert str(error.value) == (
        f"{cluster.name(index)} cannot open its port (Address already in use); end what uses it, or give another port "
        "in TF_CONFIG on every machine"
    )


def test_a_port_in_use_stops_all(cluster_of):
    """Also where workers differ, or do not come: what is wrong for certain is said first."""
    clusters = cluster_of(4)
    with socket.create_server(("", int(clusters[2].addresses[2].rpartition(":")[2]))):
        errors = meet_all(clusters[:3], [{"a": 1}, {"a": 2}, {"a": 3}], minutes=0.02)
    for error in errors:
        assert isinstance(error, ConfigError)
        assert str(error).startswith(f"{clusters[0].name(2)} cannot open its port (Address already in use)")


def test_one_index_given_twice_on_a_machine_is_a_port_in_use(cluster_of):
    """The first process keeps its port open while it waits."""
    clusters, raised = cluster_of(3), []
    first = threading.Thread(target=lambda: raised.extend(meet_all([clusters[1]], [{}], minutes=0.05)))
    first.start()
    while not is_open(clusters[1]):
        time.sleep(0.02)
    raised += meet_all([clusters[0], clusters[1]], [{}] * 2, minutes=0.02)
    first.join(30)
    assert len(raised) == 3
    for error in raised:
        assert str(error).startswith(f"{clusters[0].name(1)} cannot open its port")


def is_open(cluster):
    host, _, port = cluster.addresses[cluster.index].rpartition(":")
    try:
        socket.create_connection((host, int(port))).close()
    except OSError:
        return False
    return True
