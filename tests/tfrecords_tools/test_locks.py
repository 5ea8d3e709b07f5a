import errno
import fcntl
import json
import os
import socket
import threading

import pytest
from filelock import FileLock, Timeout

from tfrecords_tools.errors import ConfigError
from tfrecords_tools.locks import LOCK_NAME, lock_folder


def names(folder):
    return [path.name for path in folder.iterdir()]


def test_the_second_is_told_who_is_at_work(tmp_path):
    with lock_folder(tmp_path, "kreid-convert"):
        with pytest.raises(ConfigError) as second, lock_folder(tmp_path, "kreid-train"):
            pass
        assert str(second.value) == (
            f"{tmp_path}: another kreid-convert (process {os.getpid()} on {socket.gethostname()}) is at work in this "
            "folder; wait for it, or give another"
        )


def test_the_folder_is_free_and_empty_afterwards(tmp_path):
    for _ in range(2):
        with lock_folder(tmp_path, "kreid-convert") as held:
            assert held
            assert names(tmp_path) == [LOCK_NAME]
        assert names(tmp_path) == []


def test_an_error_inside_frees_it(tmp_path):
    with pytest.raises(KeyboardInterrupt), lock_folder(tmp_path, "kreid-convert"):
        raise KeyboardInterrupt
    with lock_folder(tmp_path, "kreid-convert"):
        pass


def test_the_file_of_a_dead_process_holds_nobody_up(tmp_path):
    (tmp_path / LOCK_NAME).write_text(json.dumps({"program": "kreid-train of a long name", "process": 1, "host": "x"}))
    with lock_folder(tmp_path, "kreid-convert"):
        assert json.loads((tmp_path / LOCK_NAME).read_text())["process"] == os.getpid()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"program": "x"}', "\ud800"])
def test_a_file_that_says_nothing_is_no_obstacle(tmp_path, text):
    with lock_folder(tmp_path, "kreid-convert"):
        (tmp_path / LOCK_NAME).write_bytes(text.encode(errors="surrogatepass"))
        with pytest.raises(ConfigError, match="another process is at work"), lock_folder(tmp_path, "kreid-convert"):
            pass


def test_one_who_waits_says_so_and_comes_next(tmp_path, monkeypatch, caplog):
    order, inside, told = [], threading.Event(), threading.Event()
    monkeypatch.setattr("tfrecords_tools.locks._LOG.warning", lambda *words: (order.append(words[0]), told.set()))

    def first():
        with lock_folder(tmp_path, "kreid-export"):
            inside.set()
            told.wait(60)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    inside.wait(60)
    with lock_folder(tmp_path, "kreid-export", wait=True):
        order.append("second")
    thread.join()
    assert order == ["%s: waiting for another %s, which is at work in this folder", "first", "second"]
    assert names(tmp_path) == []


@pytest.mark.parametrize("gone", [True, False])
def test_one_who_waits_tries_again_where_the_folder_went_with_the_other(tmp_path, monkeypatch, gone):
    folder, acquire, tries = tmp_path / "staging", FileLock.acquire, []

    def refuse_once(lock, timeout=None, **options):
        tries.append(timeout)
        if len(tries) == 1:  # another holds it, and by the next look
            raise Timeout(lock.lock_file)
        if len(tries) == 2:  # has removed its folder, or that is there
            if not gone:
                folder.mkdir()
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), lock.lock_file)
        return acquire(lock, timeout, **options)

    monkeypatch.setattr(FileLock, "acquire", refuse_once)
    if gone:
        with lock_folder(folder, "kreid-export", wait=True) as held:
            assert (held, names(folder)) == (True, [LOCK_NAME])
    else:  # not a folder that went: tried again, it would never end
        with pytest.raises(FileNotFoundError), lock_folder(folder, "kreid-export", wait=True):
            pass


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_where_a_file_system_has_no_locks_it_goes_on_without(tmp_path, monkeypatch, caplog, number):
    def refuse(descriptor, how):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with lock_folder(tmp_path, "kreid-convert") as held:
        assert not held
    assert f"{tmp_path}: its file system has no locks ({os.strerror(number)})" in caplog.text


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    real = os.open

    def refuse(path, flags, *more, **named):
        if os.fspath(path).endswith(LOCK_NAME):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        return real(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(OSError, match="Read-only") as failure, lock_folder(tmp_path, "kreid-convert"):
        pass
    assert failure.value.filename == str(tmp_path)


def test_a_full_disk_takes_the_lock_without_a_name(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "pwrite", refuse)
    with (
        lock_folder(tmp_path, "kreid-convert"),
        pytest.raises(ConfigError, match="another process is at work"),
        lock_folder(tmp_path, "kreid-convert"),
    ):
        pass


def test_a_folder_that_is_not_there_is_made(tmp_path):
    with lock_folder(tmp_path / "a" / "b", "kreid-convert"):
        assert names(tmp_path / "a" / "b") == [LOCK_NAME]
