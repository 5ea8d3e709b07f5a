"""Player re-identification in Keras 3.

Names are loaded when they are first used, so `import kreid` costs nothing.
"""

import importlib
from typing import Any

_WHERE = {
    "load_config": "kreid.config.loading",
    "build_model": "kreid.models.embedders",
    "load_model": "kreid.runs",
    "train": "kreid.training",
    "read_space": "kreid.tuning.space",
    "tune": "kreid.tuning",
    "embed": "kreid.embedding",
    "embed_files": "kreid.embedding",
    "Embeddings": "kreid.ranking",
    "Ranking": "kreid.ranking",
    "rank": "kreid.ranking",
    "Viewer": "kreid.look",
    "evaluate": "kreid.ranking",
}
_MODULES = ("config", "data", "export", "layers", "losses", "models", "ranking", "weights")

__all__ = [*_WHERE, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"kreid.{name}")
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'kreid' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
