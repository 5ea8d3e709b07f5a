"""What may be matched with what, by which distance, and which tracks cannot be matched at all; NumPy only."""

from dataclasses import dataclass
from math import isnan

import numpy as np

from kreid.errors import ConfigError, check_number, received
from kreid.ranking.distances import check_metric
from kreid.tracks.pooling import check_pool
from kreid.tracks.tracks import Tracks

# What to say of an argument where nobody knows who reads it.
_ACROSS = "--across-actions, in Python across_actions=True"
_WITHIN = "--within-camera, in Python within_camera=True"


@dataclass(frozen=True)
class Rules:
    """What may be matched, and by which distance; see `kreid.match`.

    Raises:
        ConfigError: an argument is of another kind, unknown or out of range, or `top` stands beside `one_to_one`.
    """

    pool: str = "mean"
    metric: str = "euclidean"
    one_to_one: bool = False
    within_camera: bool = False
    across_actions: bool = False
    most: float | None = None
    top: int | None = None

    def __post_init__(self) -> None:
        check_pool(self.pool)
        check_metric(self.metric)
        for name in ("one_to_one", "within_camera", "across_actions"):
            if not isinstance(value := getattr(self, name), bool | np.bool_):
                raise ConfigError(f"{name}: expected True or False, received {received(value)}")
        if self.most is not None:
            check_number("most", self.most, whole=False)
        if self.most is not None and (isnan(self.most) or self.most < 0):
            raise ConfigError(f"most: expected a distance, 0 or more, received {self.most}")
        if self.top is None:
            return
        check_number("top", self.top)
        if self.top < 1:
            raise ConfigError(f"top: expected 1 or more matches of a track, received {self.top}")
        if self.one_to_one:
            raise ConfigError(
                "top: belongs to matching without one_to_one, which gives one match; leave one of them out"
            )

    def check(self, tracks: Tracks, timed: bool = True) -> None:
        """Complain of tracks that cannot be matched at all.

        Args:
            tracks: the tracks.
            timed: whether their frames are read already.

        Raises:
            ConfigError: there is one of them, or none of another camera or action to match; or times are unknown.
        """
        if len(tracks) < 2:
            found = f"one, {tracks.describe(0)}" if len(tracks) else "none"
            raise ConfigError(f"expected two tracks or more, received {found}")
        if self.within_camera:
            if timed and (tracks.first < 0).any():
                track = tracks.describe(int((tracks.first < 0).argmax()))
                raise ConfigError(
                    f"the frames of track {track} are unknown, and so whether it overlaps others in time; number its "
                    f"images, or leave out {_WITHIN}"
                )
            return
        places = set(zip(tracks.action.tolist(), tracks.camera.tolist(), strict=True))
        if len({camera for _, camera in places}) == 1:
            camera = tracks.cameras[tracks.camera[0]]
            raise ConfigError(
                f"all {len(tracks):,} tracks are of one camera, {camera}; give those of another one, or {_WITHIN}"
            )
        if not self.across_actions and len(places) == len({action for action, _ in places}):
            raise ConfigError(
                f"none of the {len(places):,} actions has tracks of two cameras; match tracks of different actions by "
                f"{_ACROSS}, or those of one camera by {_WITHIN}"
            )
