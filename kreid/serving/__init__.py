"""How a model leaves, one file an export format, and how a server that runs it is asked.

Imports Keras, TensorFlow and `kreid.data`.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from kreid.serving.client import embed_remotely as embed_remotely
    from kreid.serving.saved_model import export as export

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "client": ["embed_remotely"],
        "saved_model": ["export"],
    },
)
