"""Other values, texts and bytes than a program expects."""

import copy
import random
from typing import Any

ODD = [
    None, True, False, 0, 1, -1, 2, 3, 7, 0.5, -0.0, 1e-320, 1e308, float("nan"), float("inf"), 2**31, 2**63, 10**400,
    "", " ", "a", "nan", "1", "conv1", "ü", "\0", "\ud800", "\u202e", "a" * 300, "../x", "/", [], {}, [1], [[]], [None],
    {"a": 1}, {"": {}}, [0.5, "x"], list(range(50)),
]  # fmt: skip
TOKENS = [
    b"", b"\0", b"\xff", b"\xef\xbb\xbf", b"{", b"}", b"[" * 3000, b'"', b":", b"- ", b"\n", b"\t", b"&a", b"*a",
    b"!!python/object:os.system",
    b"nan", b".inf", b"1e999", b"-", b"9" * 400, b"null", b"true", b"<<: *a", b"%", b"\\u0000", b"#", b"'", b"|\n",
]  # fmt: skip


def warp(value: Any, rng: random.Random, times: int = 1) -> Any:
    """A tree of JSON in which some places hold another value, are missing, or are there twice."""
    value = copy.deepcopy(value)
    for _ in range(times):
        holder, key = _place(value, rng)
        if holder is None:
            return rng.choice(ODD)
        action = rng.choice(["odd", "odd", "odd", "delete", "key", "wrap", "swap"])
        if action == "odd":
            holder[key] = copy.deepcopy(rng.choice(ODD))
        elif action == "delete":
            del holder[key]
        elif action == "wrap":
            holder[key] = rng.choice([[holder[key]], {"a": holder[key]}, str(holder[key])])
        elif isinstance(holder, dict):
            other = rng.choice(list(holder))
            if action == "swap":
                holder[key], holder[other] = holder[other], holder[key]
            else:
                holder[f"{key}{rng.choice(['', 'x', ' ', '.y'])}"] = holder[key]
        else:
            holder.insert(rng.randrange(len(holder) + 1), holder[key])
    return value


def garble(data: bytes, rng: random.Random, times: int = 1) -> bytes:
    """Bytes, some of which are missing, doubled, or others."""
    for _ in range(times):
        start = rng.randrange(len(data) + 1)
        end = min(len(data), start + rng.choice([1, 1, 4, 30, 500]))
        other = {
            "bits": bytes(byte ^ (1 << rng.randrange(8)) for byte in data[start:end][:2]) + data[start:end][2:],
            "gone": b"",
            "twice": data[start:end] * 2,
            "token": rng.choice(TOKENS),
            "noise": rng.randbytes(end - start),
        }[rng.choice(["bits", "bits", "gone", "twice", "token", "noise"])]
        data = data[:start] + other + data[end:]
    return data if rng.random() < 0.9 else data[: rng.randrange(len(data) + 1)]


def _place(value: Any, rng: random.Random) -> tuple[Any, Any]:
    """A container somewhere in a tree, and a key of it; (None, None) where there is none."""
    found = None, None
    while isinstance(value, dict | list) and value:
        key = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
        found = value, key
        if rng.random() < 0.25:
            break
        value = value[key]
    return found
