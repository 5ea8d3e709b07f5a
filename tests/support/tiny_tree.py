"""Tiny SoccerNet-v3 ReID trees: real folders, real names, images of a few pixels."""

import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

from tfrecords_tools.naming import Thumbnail, format_name

# Per split: (subset, action, person) of every thumbnail; its index in the list is its place among the list's lines.
LISTS = {
    "train": [("train", 0, 0), ("train", 0, 0), ("train", 0, 1), ("train", 1, 2), ("train", 3, 3), ("train", 3, 3)],
    "valid": [("query", 0, 10), ("query", 1, 12), ("gallery", 0, 10), ("gallery", 0, 11), ("gallery", 1, 12)],
    "test": [("query", 0, 20), ("gallery", 0, 21), ("gallery", 0, 20)],
    "challenge": [("query", 0, 30), ("gallery", 0, 30), ("gallery", 0, 31)],
}


def make_image(seed, height=12, width=6, mode="RGB", image_format="PNG"):
    """The bytes of a random image; the same seed gives the same pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, image_format)
    return buffer.getvalue()


def write_thumbnail(root, split, subset, bbox, action, person, game="england/2014-2015/A 1 - 0 B", **name):
    """Write one thumbnail into its place and return its path and its entry of the label list."""
    labels = {"person": person, "frame": bbox * 2, "role": "Player_team_left", "jersey": "9", "uai": f"00{bbox}r000_0a"}
    if split == "challenge":
        labels = dict.fromkeys(labels)
    thumbnail = Thumbnail(**({"bbox": bbox, "action": action, "height": 12, "width": 6} | labels | name))
    folder = Path(root, split, *([subset] if subset != "train" else []))
    if split != "challenge":
        folder = folder / game / str(action)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / format_name(thumbnail)
    path.write_bytes(make_image(seed=[bbox, action, person], height=12, width=6))
    entry = {
        "bbox_idx": bbox, "action_idx": action, "person_uid": person, "frame_idx": thumbnail.frame,
        "clazz": thumbnail.role, "id": str(thumbnail.jersey), "UAI": thumbnail.uai,
        "relative_path": f"{game}/{action}", "height": 12, "width": 6,
    }  # fmt: skip
    return path, entry


def write_tree(root, lists=LISTS, label_lists=False):
    """Write the thumbnails of `lists` below `root`, and the label lists if wanted."""
    for split, lines in lists.items():
        entries = {}
        for subset, action, person in lines:
            bbox = len(entries.setdefault(subset, {}))
            _, entries[subset][str(bbox)] = write_thumbnail(root, split, subset, bbox, action, person)
        if label_lists and split != "challenge":
            name = "train_bbox_info.json" if split == "train" else "bbox_info.json"
            Path(root, split, name).write_text(json.dumps(entries.get("train", entries)))
    return Path(root)
