"""What a process keeps of the memory that it frees."""

import ctypes
import os
import platform
import subprocess
import sys
from types import SimpleNamespace

import pytest

from tfrecords_tools.console.memory import keep_freed_memory
from tfrecords_tools.console.tensorflow import load_tensorflow

# Takes 256 MB in one piece, writes to every page, frees it, and prints how many megabytes it still holds more.
PROGRAM = """
import ctypes, os, sys
from tfrecords_tools.console.memory import keep_freed_memory

def held():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20

keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
before = held()
block = libc.malloc(ctypes.c_size_t(256 << 20))
ctypes.memset(block, 1, 256 << 20)
libc.free(ctypes.c_void_p(block))
print(held() - before)
"""


def unset(monkeypatch):
    for name in [name for name in os.environ if name.startswith("MALLOC_") or name == "GLIBC_TUNABLES"]:
        monkeypatch.delenv(name)


def still_held(**settings):
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MALLOC_", "LD_PRELOAD"))}
    environment.pop("GLIBC_TUNABLES", None)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment | settings, capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="what glibc does")
def test_what_is_freed_stays_unless_the_environment_says_otherwise():
    assert still_held() > 200
    assert still_held(MALLOC_ARENA_MAX="4") < 50
    assert still_held(GLIBC_TUNABLES="glibc.malloc.arena_max=4") < 50


def test_the_three_settings_are_made_before_tensorflow_loads(monkeypatch):
    """Nothing taken as its own mapping, nothing given back from the end, which grows by 64 MB."""
    unset(monkeypatch)
    made = []
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(mallopt=lambda *given: made.append(given)))
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(ImportError):
        load_tensorflow()
    assert made == [(-4, 0), (-1, -1), (-2, 64 << 20)]


@pytest.mark.parametrize("name", ["MALLOC_ARENA_MAX", "MALLOC_PERTURB_", "GLIBC_TUNABLES"])
def test_what_the_environment_says_is_left_alone(monkeypatch, name):
    unset(monkeypatch)
    monkeypatch.setenv(name, "")
    monkeypatch.setattr(ctypes, "CDLL", None)
    keep_freed_memory()


@pytest.mark.parametrize("error", [OSError, AttributeError, TypeError])
def test_another_c_library_is_left_alone(monkeypatch, error):
    unset(monkeypatch)

    def load(name):
        raise error

    monkeypatch.setattr(ctypes, "CDLL", load)
    keep_freed_memory()
