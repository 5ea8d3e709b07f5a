"""Player re-identification in Keras 3.

Names are loaded when they are first used, so `import kreid` costs nothing.
"""

import importlib.metadata
from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from kreid import config as config
    from kreid import data as data
    from kreid import layers as layers
    from kreid import losses as losses
    from kreid import models as models
    from kreid import ranking as ranking
    from kreid import report as report
    from kreid import weights as weights
    from kreid.config.loading import load_config as load_config
    from kreid.embedding.extract import embed as embed
    from kreid.embedding.extract import embed_files as embed_files
    from kreid.look.viewer import Viewer as Viewer
    from kreid.models.embedders import build_model as build_model
    from kreid.ranking.embeddings import Embeddings as Embeddings
    from kreid.ranking.lists import Ranking as Ranking
    from kreid.ranking.ordering import rank as rank
    from kreid.ranking.scores import evaluate as evaluate
    from kreid.runs.folder import load_model as load_model
    from kreid.serving.export import export as export
    from kreid.tracks.from_crops import match as match
    from kreid.training.run import train as train
    from kreid.tuning.search import tune as tune
    from kreid.tuning.space import read_space as read_space

try:
    __version__ = importlib.metadata.version("kreid")
except importlib.metadata.PackageNotFoundError:  # a checkout on the path that was never installed
    __version__ = "unknown"

_attribute, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["config", "data", "layers", "losses", "models", "ranking", "report", "weights"],
    submod_attrs={
        "config.loading": ["load_config"],
        "embedding.extract": ["embed", "embed_files"],
        "look.viewer": ["Viewer"],
        "models.embedders": ["build_model"],
        "ranking.embeddings": ["Embeddings"],
        "ranking.lists": ["Ranking"],
        "ranking.ordering": ["rank"],
        "ranking.scores": ["evaluate"],
        "runs.folder": ["load_model"],
        "serving.export": ["export"],
        "tracks.from_crops": ["match"],
        "training.run": ["train"],
        "tuning.search": ["tune"],
        "tuning.space": ["read_space"],
    },
)


def __getattr__(name: str) -> object:
    """Load a public name; of a misspelt one say which was meant, as Python does only where it prints a traceback."""
    if name in __all__:
        return _attribute(name)
    import difflib

    close = difflib.get_close_matches(name, __all__, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    # Without `obj`, from which Python would make the same suggestion once more.
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}{hint}", name=name)
