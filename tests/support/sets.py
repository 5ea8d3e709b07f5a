"""Small sets of images in the forms of the sources, for tests; names say everything, pixels are random."""

import numpy as np
from PIL import Image
from tiny_tree import make_image


def write_images(root, names, size=(12, 6)):
    """Write an image under each name, PNG or JPEG by its ending, and return its bytes by name."""
    written = {}
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = "PNG" if name.lower().endswith(".png") else "JPEG"
        written[name] = make_image(number, *size, image_format=kind)
        path.write_bytes(written[name])
    return written


def labels(entries):
    """What a test looks at of each entry: subset, person, camera, and where it came from."""
    return [(one.subset, one.thumbnail.person, one.camera, one.source) for one in entries]


def write_sequence(folder, lines, frames=6, size=(40, 60), truth="gt/gt.txt", suffix=".png"):
    """Write a MOTChallenge sequence and return the frames' pixels by number; lines are those of the file of boxes."""
    (folder / "img1").mkdir(parents=True)
    pixels = {}
    for number in range(1, frames + 1):
        pixels[number] = np.random.default_rng([number, len(lines)]).integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels[number]).save(folder / f"img1/{number:06d}{suffix}")
    if truth:
        (folder / truth).parent.mkdir(parents=True, exist_ok=True)
        (folder / truth).write_text("\n".join(lines) + "\n")
    return pixels


def write_tracks(root, tracks=6, views=2):
    """Write crops as a tracker leaves them, and a table of who is who: no track's name stands on both cameras.

    Returns:
        The folder of crops, and the table, by which track n of one camera and n + 100 of the other are one person.
    """
    names = [f"{camera}/{100 * place + track:04}" for place, camera in enumerate(("a", "b")) for track in range(tracks)]
    write_images(root / "crops", [f"{name}/{view}.png" for name in names for view in range(views)])
    rows = [f"{camera},{track},p{int(track) % 100}" for camera, track in (name.split("/") for name in names)]
    (root / "tracks.csv").write_text("\n".join(["camera,track,person", *rows]) + "\n")
    return root / "crops", root / "tracks.csv"
