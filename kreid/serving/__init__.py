"""How a model leaves, one file an export format, and how a server that runs it is asked.

Imports Keras, TensorFlow, `kreid.data`, `kreid.errors`, `kreid.files` and `kreid.layers`; the client imports NumPy,
urllib3 and grpcio alone, `formats` and `versions` none of them.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from kreid.serving import export as export
    from kreid.serving.client import embed_remotely as embed_remotely

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submodules=["export"], submod_attrs={"client": ["embed_remotely"]}
)
