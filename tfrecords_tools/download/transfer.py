"""One file from a server to a disk: cut short, it goes on where it was."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.request import getproxies, proxy_bypass

import urllib3

from tfrecords_tools.errors import one_line

PARTIAL = ".partial"  # stands behind the name of a file that is not whole yet
_CHUNK = 1 << 20  # bytes read at once
_CONNECT, _SILENCE = 20, 60  # seconds until a server has answered, and between two parts of what it sends
_MEANINGS = {
    401: "wrong password, or none was asked for: give the one of SoccerNet's agreement (--password)",
    403: "refused: the agreement must be signed, or the password is wrong (--password)",
    404: "no such file on this server; the data may have moved: try another --source",
    429: "too many requests; try again in some minutes",
    503: "the server is not available now; try again later",
}


class Remote(NamedTuple):
    """A file on a server, by its address, the place that it is meant for, and who asks."""

    address: str
    path: Path
    user: str = ""
    password: str = ""


def explain(status: int) -> str:
    """Say what an HTTP status means for one who downloads.

    Example:
        >>> explain(503)
        '503, the server is not available now; try again later'
    """
    other = "the server failed; try again later" if status >= 500 else "an answer that was not expected"
    return f"{status}, {_MEANINGS.get(status, other)}"


def size_of(remote: Remote) -> int:
    """Return the bytes of a file on a server.

    Raises:
        ValueError: naming the address, where the server does not tell.
    """
    reply = _ask("HEAD", remote)
    reply.close()
    if not reply.headers.get("Content-Length", "").isdecimal():
        raise ValueError(f"{remote.address}: the server does not say how large this file is; try another --source")
    return int(reply.headers["Content-Length"])


def fetch(remote: Remote, size: int, progress: Callable[[int, int], None] = lambda done, total: None) -> None:
    """Bring a file to its place; what an earlier call has brought is not asked for again.

    Args:
        remote: the file.
        size: its bytes, as `size_of` says.
        progress: called with the bytes that are there and those of the whole.

    Raises:
        ValueError: naming the address, where it does not come whole; what has come stays, for the next call.
        OSError: where it cannot be written.
    """
    partial = remote.path.with_name(remote.path.name + PARTIAL)
    partial.parent.mkdir(parents=True, exist_ok=True)
    done = partial.stat().st_size if partial.exists() else 0
    if done > size:  # of another file than this
        partial.unlink()
        done = 0
    if done < size:
        done = _append(remote, partial, done, size, progress)
    if done != size:
        raise ValueError(
            f"{remote.address}: the connection ended after {done:,} of {size:,} bytes; the same command goes on there"
        )
    partial.replace(remote.path)


def _append(remote: Remote, partial: Path, done: int, size: int, progress: Callable[[int, int], None]) -> int:
    """Add to a file what it lacks; return its bytes."""
    reply = _ask("GET", remote, done)
    done = _start(reply, remote, done, size)
    try:
        with partial.open("r+b" if partial.exists() else "wb") as file:
            file.truncate(done)
            file.seek(done)
            while part := reply.read1(_CHUNK):  # `read` drops what came before a break
                if done + len(part) > size:
                    raise ValueError(f"{remote.address}: the server sends more than the {size:,} bytes it told of")
                done += file.write(part)
                progress(done, size)
    except urllib3.exceptions.HTTPError:
        pass  # the file's length tells how far it went
    except OSError as error:
        error.filename = str(partial)  # a full disk does not say where
        raise
    finally:
        reply.close()
    return partial.stat().st_size


def _start(reply: urllib3.BaseHTTPResponse, remote: Remote, done: int, size: int) -> int:
    """Return where an answer begins in the file: a server may send all of it, whatever was asked for."""
    if reply.status == 200:
        return 0
    told = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", reply.headers.get("Content-Range", ""))
    if told is None or (int(told[1]), int(told[2])) != (done, size):
        reply.close()
        raise ValueError(
            f"{remote.address}: expected bytes {done:,} and on of {size:,}, "
            f"received {one_line(reply.headers.get('Content-Range'))}; remove {remote.path}{PARTIAL} and try again"
        )
    return done


def _ask(method: str, remote: Remote, start: int = 0) -> urllib3.BaseHTTPResponse:
    """Ask for a file, from a byte on, and return the answer, which is not read yet."""
    headers = {"Accept-Encoding": "identity"}
    if remote.user:
        headers |= urllib3.make_headers(basic_auth=f"{remote.user}:{remote.password}")
    if start:
        headers["Range"] = f"bytes={start}-"
    timeout = urllib3.Timeout(connect=_CONNECT, read=_SILENCE)
    retries = urllib3.Retry(0, redirect=5, raise_on_redirect=False)
    try:
        reply = _pool(remote.address).request(
            method, remote.address, headers=headers, timeout=timeout, retries=retries, preload_content=False
        )
    except (urllib3.exceptions.HTTPError, ValueError) as error:  # ValueError: a password that is not Latin-1
        raise ValueError(f"{remote.address}: no answer ({_cause(error)}); see to the network, then try again") from None
    if reply.status not in (200, 206):
        reply.close()
        raise ValueError(f"{remote.address}: {explain(reply.status)}")
    return reply


def _cause(error: Exception) -> str:
    """What lies behind an error of urllib3, which wraps it more than once."""
    reason = getattr(error, "reason", None) or error
    return one_line(str(reason).rpartition(": ")[2] or type(reason).__name__)


def _pool(address: str) -> urllib3.PoolManager:
    """A pool of connections, by the proxy that the environment names for such an address."""
    url = urllib3.util.parse_url(address)
    proxy = getproxies().get(url.scheme or "")
    return urllib3.ProxyManager(proxy) if proxy and not proxy_bypass(url.netloc or "") else urllib3.PoolManager()
