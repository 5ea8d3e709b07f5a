"""A tracker in twenty lines, in DeepSORT's manner, on a drawn sequence: by overlap, and by appearance after gaps too.

    kreid-export RUN --format onnx --input tracker
    python examples/track.py RUN/model_tracker.onnx --most 0.2

`--most` is the largest cosine distance at which a box is still the same person: begin with the threshold that
`kreid-evaluate RUN --data DIR --metric cosine` prints. A run's folder in the place of the file is loaded by kreid.
What is missing for real footage: a detector, in place of the boxes that are known here, and a motion model.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy.optimize import linear_sum_assignment

from tfrecords_tools.synthetic.crop import draw_crop
from tfrecords_tools.synthetic.pitch import draw_camera, draw_ground
from tfrecords_tools.synthetic.plan import choices_of, people_of

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])  # what `--input tracker` takes
HEIGHT, WIDTH = 360, 1280  # of a frame, in pixels
_HELD = 5  # frames for which a player keeps a pose and a direction
Embed = Callable[[list[np.ndarray]], np.ndarray]  # from crops (h, w, 3), RGB 0-255, to (N, D) of length one


class Frame(NamedTuple):
    """A picture `(h, w, 3)` uint8 RGB, boxes `(N, 4)` left, top, right, bottom, and who is in each, `(N,)`."""

    picture: np.ndarray
    boxes: np.ndarray
    people: np.ndarray


class Track:
    """A person as far as the tracker knows: what it looked like, and when and where it was seen last."""

    def __init__(self, number: int, vector: np.ndarray, box: np.ndarray, now: int) -> None:
        self.number, self.vector, self.box, self.seen = number, vector, box, now

    def update(self, vector: np.ndarray, box: np.ndarray, now: int) -> None:
        """Blend a new look into the old one."""
        blended = 0.9 * self.vector + 0.1 * vector
        self.vector, self.box, self.seen = blended / np.linalg.norm(blended), box, now


def track(frames: Iterator[Frame], embed: Embed, most: float, patience: int = 30) -> Iterator[np.ndarray]:
    """Yield the numbers `(N,)` of each frame's boxes.

    Args:
        frames: pictures with boxes.
        embed: from crops to vectors.
        most: cosine distance beyond which two boxes are two people.
        patience: frames after which somebody who is not seen is forgotten.
    """
    tracks: list[Track] = []
    made = 0
    for now, (picture, boxes, _) in enumerate(frames):
        vectors = embed([picture[top:bottom, left:right] for left, top, right, bottom in boxes])
        tracks = [one for one in tracks if now - one.seen <= patience]
        numbers = np.full(len(boxes), -1)
        if tracks and len(boxes):
            distance = 1 - vectors @ np.stack([one.vector for one in tracks]).T  # (N, T)
            overlap = overlaps(boxes, np.stack([one.box for one in tracks]))
            overlap *= [one.seen == now - 1 for one in tracks]  # who was away may be anywhere
            likely = (distance < most) | (overlap > 0.3)
            pairs = linear_sum_assignment(np.where(likely, distance - overlap, 9))
            for row, place in zip(*pairs, strict=True):
                if likely[row, place]:
                    tracks[place].update(vectors[row], boxes[row], now)
                    numbers[row] = tracks[place].number
        for row in np.flatnonzero(numbers < 0):
            tracks.append(Track(made, vectors[row], boxes[row], now))
            numbers[row], made = made, made + 1
        yield numbers


def overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the intersection over union of boxes `(N, 4)` and others `(T, 4)`: `(N, T)`."""
    corner, end = np.maximum(boxes[:, None, :2], others[:, :2]), np.minimum(boxes[:, None, 2:], others[:, 2:])
    common = np.prod(np.maximum(0, end - corner), axis=2)
    areas = [np.prod(some[:, 2:] - some[:, :2], axis=1) for some in (boxes, others)]
    return common / (areas[0][:, None] + areas[1] - common)


def load_embedder(path: Path) -> Embed:
    """Return what embeds crops: an ONNX file of `kreid-export --input tracker`, or a run's folder."""
    if path.suffix == ".onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        name, (_, channels, height, width) = session.get_inputs()[0].name, session.get_inputs()[0].shape
        if (name, channels) != ("images", 3) or not (isinstance(height, int) and isinstance(width, int)):
            raise SystemExit(f"{path}: not what trackers feed; kreid-export RUN --format onnx --input tracker")

        def run(images: np.ndarray) -> np.ndarray:
            pixels = ((images / 255 - MEAN) / STD).transpose(0, 3, 1, 2).astype(np.float32)
            return session.run(None, {"images": pixels})[0]
    else:
        import kreid

        model = kreid.load_model(path)
        if isinstance(model.input, dict):
            raise SystemExit(
                f"{path}: asks for the camera of each image, which a tracker does not tell; give a run without"
            )
        height, width = model.input_shape[1:3]

        def run(images: np.ndarray) -> np.ndarray:
            return np.asarray(model(images, training=False)["embedding"])

    def embed(crops: list[np.ndarray]) -> np.ndarray:
        if not crops:  # a frame without anybody
            return np.empty((0, 0), np.float32)
        resized = [Image.fromarray(crop).resize((width, height), Image.Resampling.BILINEAR) for crop in crops]
        return run(np.stack([np.asarray(image, np.float32) for image in resized]))

    return embed


def draw_sequence(frames: int, people: int, seed: int = 0) -> Iterator[Frame]:
    """Yield pictures of drawn players who walk across one another's way; each is out of sight for a while."""
    random, cast = choices_of(seed, "track", 0, "sequence"), people_of(seed, "track", 0)[:people]
    ground = draw_ground(random, tuple(dict.fromkeys(person.kit.shirt for person in cast)))
    camera = draw_camera(random, "main")
    start = [(random.randrange(WIDTH), random.randrange(HEIGHT // 4)) for _ in cast]
    speed = [random.choice((-1, 1)) * random.uniform(4, 12) for _ in cast]  # pixels a frame
    hidden = [random.randrange(frames) for _ in cast]
    for now in range(frames):
        picture = np.full((HEIGHT, WIDTH, 3), ground.grass, np.uint8)
        boxes, shown = [], []
        for number in sorted(range(len(cast)), key=lambda number: start[number][1]):  # the nearest is drawn last
            if hidden[number] <= now < hidden[number] + frames // 5:
                continue
            pose = choices_of(seed, "track", number, f"pose {now // _HELD}")
            crop = np.asarray(draw_crop(cast[number], (), ground, camera, pose))
            top, left = start[number][1], int(start[number][0] + speed[number] * now) % (WIDTH - crop.shape[1])
            crop = crop[: HEIGHT - top]
            bottom, right = top + crop.shape[0], left + crop.shape[1]
            picture[top:bottom, left:right] = crop
            boxes.append((left, top, right, bottom))
            shown.append(number)
        yield Frame(picture, np.array(boxes, int).reshape(-1, 4), np.array(shown, int))


def count_errors(people: np.ndarray, numbers: np.ndarray) -> tuple[int, float]:
    """Return how often somebody's number changes, and the share of boxes that bear the number of most of theirs."""
    switches = right = 0
    for person in np.unique(people):
        own = numbers[people == person]
        switches += int(np.count_nonzero(own[1:] != own[:-1]))
        right += np.unique(own, return_counts=True)[1].max()
    return switches, float(right / len(people))


def main() -> None:
    """Track a drawn sequence and print how well that went."""
    parser = argparse.ArgumentParser(description="Track drawn players by appearance.")
    parser.add_argument("network", type=Path, help="an ONNX file of `kreid-export --input tracker`, or a run's folder")
    parser.add_argument("--most", type=float, default=0.2, help="largest cosine distance of one person's boxes")
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--people", type=int, default=12)
    arguments = parser.parse_args()
    frames = list(draw_sequence(arguments.frames, arguments.people))
    numbers = np.concatenate(list(track(iter(frames), load_embedder(arguments.network), arguments.most)))
    people = np.concatenate([frame.people for frame in frames])
    switches, share = count_errors(people, numbers)
    print(
        f"{len(people)} boxes of {len(np.unique(people))} people: {len(np.unique(numbers))} tracks, {switches} changes "
        f"of number, {100 * share:.1f} % of boxes in their person's main track"
    )


if __name__ == "__main__":
    main()
