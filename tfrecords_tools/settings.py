"""How records are made."""

from dataclasses import dataclass

from tfrecords_tools.errors import ConfigError
from tfrecords_tools.fraction import check_fraction
from tfrecords_tools.images import IMAGE_FORMATS, MAX_PIXELS

ON_ERROR = ("stop", "skip")
_PILLOW_TAKES = 178_956_970  # pixels; it refuses larger images itself, and warns above half of that


@dataclass(frozen=True)
class Settings:
    """How records are made: the arguments of `writer.convert` of the same names.

    Raises:
        ConfigError: for a value out of its range.
    """

    fraction: float = 1.0
    shards: int | None = None
    resize: tuple[int, int] | None = None
    image_format: str = "original"
    max_pixels: int = MAX_PIXELS
    on_error: str = "stop"
    decode: bool = False

    def __post_init__(self) -> None:
        check_fraction(self.fraction)
        if self.shards is not None and self.shards < 1:
            raise ConfigError(f"shards: expected 1 or more, received {self.shards}")
        if self.resize is not None and (len(self.resize) != 2 or min(self.resize) < 1):
            raise ConfigError(f"resize: expected (height, width) of 1 pixel or more, received {self.resize}")
        if self.image_format not in IMAGE_FORMATS:
            raise ConfigError(
                f"image_format: expected one of {', '.join(IMAGE_FORMATS)}, received {self.image_format!r}"
            )
        if not 1 <= self.max_pixels <= _PILLOW_TAKES:
            raise ConfigError(f"max_pixels: expected 1 to {_PILLOW_TAKES}, received {self.max_pixels}")
        if self.on_error not in ON_ERROR:
            raise ConfigError(f"on_error: expected one of {', '.join(ON_ERROR)}, received {self.on_error!r}")
