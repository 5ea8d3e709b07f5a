"""Search among crops beyond one action.

Imports `kreid.ranking`, `kreid.pages` and `kreid.pictures`, and `kreid.embedding` once crops are embedded.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from kreid.search.crops import Crops as Crops
    from kreid.search.crops import crops_of_embeddings as crops_of_embeddings
    from kreid.search.crops import crops_of_files as crops_of_files
    from kreid.search.crops import crops_of_records as crops_of_records
    from kreid.search.files import write_results as write_results
    from kreid.search.results import Results as Results

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "crops": ["Crops", "crops_of_embeddings", "crops_of_files", "crops_of_records"],
        "files": ["write_results"],
        "results": ["Results"],
    },
)
