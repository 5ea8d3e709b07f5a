"""Pictures for people: thumbnails, colours, sheets of a batch, ranked galleries.

Imports Pillow, `kreid.data` and `kreid.ranking`.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from kreid.pictures.batch import Batch as Batch
    from kreid.pictures.batch import contact_sheet as contact_sheet
    from kreid.pictures.batch import draw_batch as draw_batch
    from kreid.pictures.galleries import gallery_picture as gallery_picture
    from kreid.pictures.thumbnails import Sheet as Sheet
    from kreid.pictures.thumbnails import join as join
    from kreid.pictures.thumbnails import shrink as shrink

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "batch": ["Batch", "contact_sheet", "draw_batch"],
        "galleries": ["gallery_picture"],
        "thumbnails": ["Sheet", "join", "shrink"],
    },
)
