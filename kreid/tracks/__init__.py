"""Matching of whole tracks: crops of one player on one camera, pooled, compared and paired.

Imports `kreid.ranking` and SciPy; `kreid.pages`, `kreid.pictures` and `kreid.search` for what it reads and writes; and
`kreid.embedding` once crops are embedded.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from kreid.tracks.files import write_matches as write_matches
    from kreid.tracks.matching import Matches as Matches
    from kreid.tracks.matching import assign as assign
    from kreid.tracks.matching import distances as distances
    from kreid.tracks.matching import match as match
    from kreid.tracks.matching import never_matched as never_matched
    from kreid.tracks.pooling import pool as pool
    from kreid.tracks.results import Pair as Pair
    from kreid.tracks.results import Results as Results
    from kreid.tracks.tracks import Labels as Labels
    from kreid.tracks.tracks import Tracks as Tracks
    from kreid.tracks.tracks import group as group

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "files": ["write_matches"],
        "matching": ["Matches", "assign", "distances", "match", "never_matched"],
        "pooling": ["pool"],
        "results": ["Pair", "Results"],
        "tracks": ["Labels", "Tracks", "group"],
    },
)
