"""What a network sees in an image and in a pair.

Imports Keras, `kreid.data`, `kreid.models` and `kreid.pictures`; TensorFlow or JAX for gradients.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from kreid.look.pairs import Pair as Pair
    from kreid.look.pairs import explain as explain
    from kreid.look.sheets import image_picture as image_picture
    from kreid.look.sheets import make_view as make_view
    from kreid.look.sheets import pair_picture as pair_picture
    from kreid.look.viewer import Seen as Seen
    from kreid.look.viewer import Viewer as Viewer

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "pairs": ["Pair", "explain"],
        "sheets": ["image_picture", "make_view", "pair_picture"],
        "viewer": ["Seen", "Viewer"],
    },
)
