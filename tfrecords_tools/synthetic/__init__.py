"""A SoccerNet-v3 ReID set that is drawn. Imports NumPy, Pillow and what a thumbnail's name says."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from tfrecords_tools.synthetic.tree import check_arguments as check_arguments
    from tfrecords_tools.synthetic.tree import draw as draw
    from tfrecords_tools.synthetic.tree import sheet as sheet

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "tree": ["check_arguments", "draw", "sheet"],
    },
)
