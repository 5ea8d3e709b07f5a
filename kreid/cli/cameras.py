"""What a network that asks for the camera of each image cannot do, told before TensorFlow loads."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kreid.errors import ConfigError

if TYPE_CHECKING:
    from kreid.config.network import Appearance
    from kreid.config.sections import Config


def check_trained(config: "Config", data: Path) -> None:
    """Complain of training records whose cameras are not those that a configuration asks for."""
    stream = config.model.appearance
    if not stream.cameras:
        return
    from kreid.data.cameras import learned_cameras
    from tfrecords_tools.index import read_index, split_folder

    with read_index(split_folder(data, "train")) as index:
        try:
            rows = index.fraction_rows(config.data.fraction)
        except ConfigError as error:
            raise ConfigError(f"data.{error}") from None
        learned_cameras(index, rows, stream.cameras, stream.camera_names)


def check_records(runs: Sequence[Path], records: Path) -> None:
    """Complain of records that tell no cameras, or others than a run's network knows."""
    from kreid.data.cameras import check_cameras

    for run in runs:
        stream = _stream(run)
        if stream.cameras:
            check_cameras(_names(stream, run), records)


def check_named(run: Path, cameras: Sequence[str], where: str) -> None:
    """Complain of cameras that a run's network does not know, given by the names of images from `where`."""
    from kreid.data.cameras import numbers_among

    stream = _stream(run)
    if stream.cameras:
        numbers_among(cameras, _names(stream, run), where)


def check_alone(run: Path, what: str) -> None:
    """Complain of a network that asks for cameras where images stand alone, or leave for other programs: `what`."""
    if _stream(run).cameras:
        raise ConfigError(
            f"{what}: the network of {run} asks for the camera of each image (model.appearance.cameras), which nothing "
            "tells here; give records that know cameras where records will do, or a run without"
        )


def _stream(run: Path) -> "Appearance":
    from kreid.runs.folder import load_config_of

    return load_config_of(run).model.appearance


def _names(stream: "Appearance", run: Path) -> Sequence[str]:
    if stream.camera_names is None:
        raise ConfigError(
            f"{run}: its config.yaml does not name the network's {stream.cameras} cameras; name them in "
            "model.appearance.camera_names, in the order of their vectors"
        )
    return stream.camera_names
