"""Crops of drawn players, the same on every machine: what a written network is held against the trained one on."""

import numpy as np

from tfrecords_tools.synthetic.crop import draw_crop
from tfrecords_tools.synthetic.pitch import draw_camera, draw_ground
from tfrecords_tools.synthetic.plan import choices_of, people_of

COUNT = 32
_CAMERAS = ("main", "close", "goal")


def draw_crops(count: int = COUNT) -> list[np.ndarray]:
    """Return crops `(h, w, 3)`, uint8, RGB, 40 to 250 pixels high, each of another size and person."""
    random, people = choices_of(0, "export", 0, "crops"), people_of(0, "export", 0)
    ground = draw_ground(random, tuple(dict.fromkeys(person.kit.shirt for person in people)))
    crops = []
    for number in range(count):
        person = people[number % len(people)]
        others = [other for other in people if other is not person]
        camera = draw_camera(random, _CAMERAS[number % len(_CAMERAS)])
        crops.append(np.asarray(draw_crop(person, others, ground, camera, random)))
    return crops
