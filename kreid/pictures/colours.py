"""Maps laid over images in colours that an eye can order: lighter is more; orange adds, blue takes away."""

import numpy as np
from PIL import Image

# Lightness, chroma and hue (degrees) of the OKLab space at the ends of the scale, and of the two signs.
_DARK, _LIGHT = (0.22, 0.09, 285.0), (0.95, 0.11, 465.0)  # from blue through red to yellow
_ADDS, _TAKES = (0.76, 0.17, 55.0), (0.68, 0.15, 250.0)


def scale(values: np.ndarray) -> np.ndarray:
    """Colours of numbers from 0 to 1: (...) -> (..., 3) uint8, perceived lightness growing evenly all along."""
    part = np.clip(np.asarray(values, np.float64), 0, 1)[..., None]
    lightness, chroma, hue = np.moveaxis(np.array(_DARK) * (1 - part) + np.array(_LIGHT) * part, -1, 0)
    return _rgb(lightness, chroma + 0.1 * np.sin(np.pi * part[..., 0]), hue)


def signed(values: np.ndarray | float) -> np.ndarray:
    """Colours of the signs of numbers: (...) -> (..., 3) uint8."""
    return np.where(np.asarray(values)[..., None] < 0, _rgb(*_TAKES), _rgb(*_ADDS))


def enlarge(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Enlarge a map (h, w) over an image of (height, width) pixels: (height, width) float32.

    Bilinear between the middles of the cells, so a cell stays over the pixels that it stands for.
    """
    image = Image.fromarray(np.asarray(values, np.float32))
    return np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR))


def lay_over(pixels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Colour an image by a map.

    Args:
        pixels: (H, W, 3) uint8, RGB.
        values: (h, w), from 0 (the image's own dark grey shows) to 1.

    Returns:
        (H, W, 3) uint8.
    """
    strength = enlarge(np.clip(values, 0, 1), pixels.shape[:2])
    colours = scale(np.linspace(0, 1, 256))[np.round(255 * strength).astype(np.uint8)]
    return _blend(_grey(pixels), colours, 0.35 + 0.4 * strength)


def lay_over_signed(pixels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Colour an image by a map from -1 to 1, 0 leaving it grey; otherwise as `lay_over`."""
    strength = enlarge(np.clip(values, -1, 1), pixels.shape[:2])
    return _blend(_grey(pixels), signed(strength), 0.9 * np.abs(strength) ** 0.7)


def _grey(pixels: np.ndarray) -> np.ndarray:
    """The image in greys a little darker than its own, (H, W, 1), so that colours stand out."""
    return 0.75 * np.asarray(Image.fromarray(pixels).convert("L"), np.float32)[..., None]


def _blend(below: np.ndarray, above: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    opacity = opacity[..., None]
    return np.round(below * (1 - opacity) + above * opacity).astype(np.uint8)


def _rgb(lightness: np.ndarray | float, chroma: np.ndarray | float, hue: np.ndarray | float) -> np.ndarray:
    """OKLCh to sRGB, uint8; colours that a screen does not have are cut off.

    Reference: Ottosson, "A perceptual color space for image processing", 2020.
    """
    angle = np.radians(hue)
    a, b = chroma * np.cos(angle), chroma * np.sin(angle)
    cones = [
        lightness + 0.3963377774 * a + 0.2158037573 * b,
        lightness - 0.1055613458 * a - 0.0638541728 * b,
        lightness - 0.0894841775 * a - 1.2914855480 * b,
    ]
    mix = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    linear = np.clip(np.stack(cones, axis=-1) ** 3 @ mix.T, 0, 1)
    gamma = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(255 * gamma).astype(np.uint8)
