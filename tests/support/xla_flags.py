"""Flags that shorten what JAX compiles for the tests."""

import mmap
from importlib.util import find_spec
from pathlib import Path

# XLA's older code generator, and in one piece: small networks compile in half the time.
FLAGS = {"xla_cpu_use_fusion_emitters": "false", "xla_cpu_parallel_codegen_split_count": "1"}


def known_flags() -> str:
    """Return those of `FLAGS` that the installed jaxlib knows, for `XLA_FLAGS`: one unknown ends the process."""
    spec = find_spec("jaxlib")
    folders = spec.submodule_search_locations if spec else ()
    libraries = [library for folder in folders for library in Path(folder).glob("*.so")]
    return " ".join(f"--{flag}={value}" for flag, value in FLAGS.items() if any(_holds(x, flag) for x in libraries))


def _holds(library: Path, text: str) -> bool:
    with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as held:
        return held.find(text.encode()) >= 0
