"""From images to embeddings with labels, and to files of them.

Imports Keras, TensorFlow, `kreid.data` and `kreid.ranking`; `vector_files` NumPy, and pyarrow where it is asked for.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from kreid.embedding.extract import embed as embed
    from kreid.embedding.extract import embed_each as embed_each
    from kreid.embedding.extract import embed_files as embed_files

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "extract": ["embed", "embed_each", "embed_files"],
    },
)
