"""How a model leaves, one file an export format, and how a server that runs it is asked.

Imports Keras, TensorFlow, `kreid.data` and `kreid.errors`; the client imports NumPy and urllib3 alone, and `versions`
neither of them.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from kreid.serving import export as export
    from kreid.serving.client import embed_remotely as embed_remotely

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submodules=["export"], submod_attrs={"client": ["embed_remotely"]}
)
