"""Several machines on one run: what `TF_CONFIG` says, and how they meet before TensorFlow waits for anyone.

TensorFlow waits long for a missing worker, and for one with another configuration in the middle of the first batch.
So all workers first report to worker 0 on its port of `TF_CONFIG`, which says go, or why not, to each of them.
Meanwhile each keeps its own port open, so that another program there is noticed. No TensorFlow here.
"""

import contextlib
import json
import logging
import os
import socket
import time
from dataclasses import dataclass
from typing import Any

from kreid.errors import ConfigError
from tfrecords_tools.json_text import load_json

log = logging.getLogger(__name__)

_PAUSE = 0.2  # seconds between two tries to reach worker 0
_PATIENCE = 5.0  # seconds that a connected worker has for its line, and worker 0 for its answer after the wait
_LONGEST = 65536  # bytes of one line


@dataclass(frozen=True)
class Cluster:
    """The machines of a run, and which of them this is.

    Args:
        addresses: `host:port` of each worker, worker 0 (the chief) first.
        index: this worker's position in them.
    """

    addresses: tuple[str, ...]
    index: int

    def name(self, index: int) -> str:
        """A worker for messages, such as `worker 1 (10.0.0.2:2222)`."""
        return f"worker {index} ({self.addresses[index]})"


def read_cluster() -> Cluster | None:
    """What the environment variable `TF_CONFIG` says; None where it is not set or names no cluster.

    Raises:
        ConfigError: where it cannot be understood, saying what was expected.

    Example:
        >>> os.environ["TF_CONFIG"] = '''{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]},
        ...     "task": {"type": "worker", "index": 0}}'''
        >>> read_cluster().name(1)
        'worker 1 (10.0.0.2:2222)'
    """
    text = os.environ.get("TF_CONFIG", "").strip()
    try:
        content = load_json(text or "{}")
    except ValueError as error:
        raise ConfigError(f"TF_CONFIG: not JSON ({error}); received {text[:80]!r}") from None
    if content == {}:
        return None
    try:
        jobs, task = dict(content["cluster"]), dict(content["task"])
        kind, number = task["type"], task["index"]
        addresses = [address for job in ("chief", "worker") for address in jobs.get(job, [])]
    except (KeyError, TypeError, ValueError):
        raise ConfigError(
            'TF_CONFIG: expected {"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}, '
            f"received {text[:120]}"
        ) from None
    _check(jobs, kind, number, addresses)
    before = len(jobs.get("chief", [])) if kind == "worker" else 0
    return Cluster(tuple(addresses), before + number)


def _check(jobs: dict, kind: str, number: object, addresses: list) -> None:
    others = sorted(set(jobs) - {"chief", "worker"})
    if others:
        raise ConfigError(f"TF_CONFIG: expected the jobs chief and worker only, received {', '.join(others)}")
    for address in addresses:
        host, _, port = str(address).rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise ConfigError(f"TF_CONFIG: expected addresses such as 10.0.0.1:2222, received {address!r}")
    if len(set(addresses)) != len(addresses):
        raise ConfigError(f"TF_CONFIG: expected a different address for each worker, received {', '.join(addresses)}")
    if kind not in jobs or type(number) is not int or not 0 <= number < len(jobs[kind]):
        there = ", ".join(f"{len(jobs[job])} of type {job}" for job in jobs)
        raise ConfigError(f"TF_CONFIG: task type {kind!r} index {number!r} is not in the cluster, which has {there}")


def meet(cluster: Cluster, facts: dict[str, Any], minutes: float) -> None:
    """Wait until every worker is there and agrees with worker 0.

    Args:
        cluster: from `read_cluster`.
        facts: what all workers must have alike, such as `{"loss.margin": 0.3, "training images": 248234}`; JSON values.
        minutes: how long to wait.

    Raises:
        ValueError: where a worker did not come in time, or worker 0 cannot be reached.
        ConfigError: where facts differ, or the port of a worker is taken.
    """
    if len(cluster.addresses) == 1:
        return
    deadline = time.monotonic() + 60 * minutes
    others = range(1, len(cluster.addresses)) if cluster.index == 0 else [0]
    names = ", ".join(cluster.name(index) for index in others)
    log.info("%s waits up to %g minutes for %s", cluster.name(cluster.index), minutes, names)
    with contextlib.ExitStack() as stack:
        port = _open_port(cluster, stack)
        taken = port if isinstance(port, str) else None
        if cluster.index:
            _report(cluster, {"worker": cluster.index, "facts": facts, "taken": taken}, minutes, deadline)
        elif isinstance(port, str):
            raise ConfigError(port)
        else:
            _preside(cluster, facts, port, minutes, deadline)


def _open_port(cluster: Cluster, stack: contextlib.ExitStack) -> socket.socket | str:
    """This worker's port, open as long as `stack`; or why it cannot be opened."""
    port = int(cluster.addresses[cluster.index].rpartition(":")[2])
    try:
        return stack.enter_context(socket.create_server(("", port), backlog=len(cluster.addresses)))
    except OSError as error:
        return (
            f"{cluster.name(cluster.index)} cannot open its port ({os.strerror(error.errno or 0)}); end what uses it, "
            "or give another port in TF_CONFIG on every machine"
        )


def _preside(cluster: Cluster, facts: dict, server: socket.socket, minutes: float, deadline: float) -> None:
    """Worker 0: hear the others, and tell all of them to go, or why not."""
    with contextlib.ExitStack() as stack:
        connections, lines, missing = _receive(cluster, server, stack, deadline)
        taken = next((line["taken"] for _, line in sorted(lines.items()) if line["taken"]), None)
        usage = taken or (not missing and _difference(cluster, facts, lines))
        trouble = usage or None
        if missing and not taken:
            names = ", ".join(cluster.name(index) for index in missing)
            trouble = f"{names} did not come within {minutes:g} minutes; start every worker of TF_CONFIG, or wait "
            trouble += "longer with train.worker_minutes"
        for connection in connections:
            with contextlib.suppress(OSError):
                _send(connection, {"trouble": trouble, "usage": bool(usage)})
    if trouble:
        raise (ConfigError if usage else ValueError)(trouble)


def _receive(
    cluster: Cluster, server: socket.socket, stack: contextlib.ExitStack, deadline: float
) -> tuple[list[socket.socket], dict[int, dict], list[int]]:
    """The connections to the workers that came, what each of them said, and who did not come."""
    connections: dict[int, socket.socket] = {}
    lines: dict[int, dict] = {}
    others = []
    missing = list(range(1, len(cluster.addresses)))
    while missing and (left := deadline - time.monotonic()) > 0:
        server.settimeout(left)
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # a stranger at the port is no worker
            connection = stack.enter_context(server.accept()[0])
            line = _read(connection, _PATIENCE)
            said = {"facts": dict(line["facts"]), "taken": line["taken"]}
            if (number := line["worker"]) in range(1, len(cluster.addresses)):
                others.append(connection)
                # Two may say that they are the same worker; one that has ended and came again counts anew.
                if said["taken"] or number not in lines or _has_left(connections[number]):
                    connections[number], lines[number] = connection, said
        missing = [index for index in missing if index not in lines]
    return others, lines, missing


def _has_left(connection: socket.socket) -> bool:
    """Whether the other side of a connection that owes nothing more has closed it."""
    connection.setblocking(False)
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        connection.setblocking(True)


def _report(cluster: Cluster, line: dict, minutes: float, deadline: float) -> None:
    """Another worker: report to worker 0 and wait for its word."""
    host, _, port = cluster.addresses[0].rpartition(":")
    chief, answer = cluster.name(0), None
    while answer is None:
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE) as connection:
                _send(connection, line)
                answer = _read(connection, max(deadline - time.monotonic(), 0) + _PATIENCE)
        except (OSError, ValueError) as error:
            if time.monotonic() > deadline:
                if line["taken"]:
                    raise ConfigError(line["taken"]) from None
                raise ValueError(
                    f"{chief} did not answer within {minutes:g} minutes ({error or type(error).__name__}); start it, "
                    "or wait longer with train.worker_minutes"
                ) from None
            time.sleep(_PAUSE)
    if answer.get("trouble"):
        raise (ConfigError if answer.get("usage") else ValueError)(str(answer["trouble"]))


def _difference(cluster: Cluster, facts: dict[str, Any], lines: dict[int, dict]) -> str | None:
    """The first fact that a worker has otherwise than worker 0, and the names of the next ones."""
    for index, line in sorted(lines.items()):
        theirs = line["facts"]
        names = [name for name in {**facts, **theirs} if facts.get(name) != theirs.get(name)]
        if names:
            first, more = names[0], ", ".join(names[1:4]) + (", ..." if len(names) > 4 else "")
            return (
                f"{cluster.name(index)} has {first} {theirs.get(first)}, {cluster.name(0)} {facts.get(first)}; "
                f"{f'they also differ in {more}; ' if more else ''}give all the same configuration, data and run folder"
            )
    return None


def _send(connection: socket.socket, line: dict) -> None:
    connection.sendall(json.dumps(line).encode() + b"\n")


def _read(connection: socket.socket, seconds: float) -> dict:
    """One line of JSON from the other side.

    Raises:
        OSError: where it does not come in time.
        ValueError: where it is something else.
    """
    connection.settimeout(seconds)
    with connection.makefile("rb") as file:
        line = load_json(file.readline(_LONGEST) or b"null")
    if not isinstance(line, dict):
        raise ValueError("no kreid-train there")
    return line
