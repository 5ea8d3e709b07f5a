"""The pictures of one image that its embedding may be averaged over: mirrored ones and crops."""

from kreid.config.sections import Evaluation
from kreid.data.images import resize
from kreid.types import Tensor

Picture = tuple[str, bool]  # a crop's name, and whether it is mirrored

# Where a crop lies in the margin that it leaves out: the part of it above and the part of it to the left.
CROPS = {"centre": (0.5, 0.5), "top": (0.0, 0.5), "bottom": (1.0, 0.5), "left": (0.5, 0.0), "right": (0.5, 1.0)}
KEPT = 0.9  # of height and width in a crop (ours): detectors' boxes are about as far off


def pictures(settings: Evaluation) -> tuple[Picture, ...]:
    """List what is averaged over, the whole image first.

    Args:
        settings: the `evaluation` section of a configuration; `crops` counts whole, centre, top, bottom, left, right.
    """
    crops = ("whole", *CROPS)[: settings.crops]
    return tuple((crop, mirrored) for mirrored in (False, True)[: 1 + settings.flip] for crop in crops)


def cut(images: Tensor, picture: Picture) -> Tensor:
    """Take one picture of every image.

    Args:
        images: `(N, H, W, 3)` tensor.
        picture: from `pictures`.

    Returns:
        `(N, H, W, 3)`: a crop is as large as the image again.
    """
    crop, mirrored = picture
    if crop != "whole":
        size = images.shape[1:3]
        kept = [max(1, round(KEPT * side)) for side in size]
        top, left = (round(part * (side - keep)) for part, side, keep in zip(CROPS[crop], size, kept, strict=True))
        images = resize(images[:, top : top + kept[0], left : left + kept[1]], size)
    return images[:, :, ::-1] if mirrored else images
