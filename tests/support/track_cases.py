"""Tracks for tests, written as lists."""

import numpy as np

from kreid.tracks.tracks import Labels, group

CAMERAS = ("left", "right")


def labels(track, camera, frame=None, person=None, action=None):
    """Labels of crops; what is not given is 0 or, of frame and person, unknown."""
    unknown = [-1] * len(track)
    columns = (track, camera, frame or unknown, person or unknown, action or [0] * len(track))
    return Labels(*(np.array(column, np.int64) for column in columns))


def seen(*tracks, person=None, action=None):
    """Tracks named a, b, ... of a crop at each end, from (camera, first frame, last frame) each."""
    names = [chr(ord("a") + number) for number in range(len(tracks))]
    number = np.repeat(np.arange(len(tracks)), 2).tolist()
    camera = [camera for camera, _, _ in tracks for _ in range(2)]
    frame = [frame for _, first, last in tracks for frame in (first, last)]
    person, action = (None if values is None else np.repeat(values, 2).tolist() for values in (person, action))
    cameras = [f"cam{number}" for number in range(max(camera) + 1)]
    return group(labels(number, camera, frame, person, action), names, cameras)


def draw_crops(folder, tracks=3, crops=4):
    """Folders of crops of the same people on two cameras: p0 and p1 at one time, p2 later; returns the folder."""
    from tiny_report import picture  # loads TensorFlow

    for camera in CAMERAS:
        for person in range(tracks):
            place = folder / camera / f"p{person}"
            place.mkdir(parents=True)
            for frame in range(crops):
                image = picture(person, 40 + 8 * frame + 3 * len(camera), 24)
                (place / f"{20 * (person // 2) + frame:03d}.png").write_bytes(image)
    return folder
