"""Train, keep and load a backbone of one's own, without touching kreid's files.

    python examples/own_backbone.py [RECORDS]

A backbone is a function from an input shape to a functional model: RGB 0-255 in, a dict of named feature maps out. Once
it stands in `kreid.models.BACKBONES`, a configuration may name it. To give it to others, see docs/adding_a_backbone.md.
"""

import sys
import tempfile
from pathlib import Path

import keras

import kreid
from tfrecords_tools import synthetic, writer


def plain_net(
    input_shape: tuple[int, int, int] = (256, 128, 3), *, width_divisor: int = 1, name: str = "plain_net"
) -> keras.Model:
    """Four convolutions, each halving the sides."""
    image = keras.Input(input_shape, name="images")
    x = kreid.layers.ImagePreprocessing(name="preprocessing")(image)
    maps = {}
    for number, filters in enumerate((32, 64, 128, 256), start=1):
        filters = max(4, filters // width_divisor)
        x = keras.layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False, name=f"conv{number}_conv")(x)
        x = keras.layers.BatchNormalization(name=f"conv{number}_bn")(x)
        maps[f"conv{number}"] = x = keras.layers.ReLU(name=f"conv{number}_relu")(x)
    return keras.Model(image, maps, name=name)


kreid.models.BACKBONES["plain_net"] = plain_net  # in every program that trains or loads such a run

CONFIG = """
model:
  embedder: one_stream
  image_size: [64, 32]
  appearance: {backbone: plain_net, weights: null, layer: conv4}
  heads: {layers: [conv3], hidden: [], dim: 32}   # a layer-wise head on a map of ours
data: {persons: 4, views: 4}
train: {epochs: 3, learning_rate: 1e-3, schedule: constant}
"""


def main(records: Path, out: Path, config: str = CONFIG) -> dict:
    """Train a run folder, load it again, and score it; returns the scores."""
    run = kreid.train(config, records, out)
    model = kreid.load_model(run)
    return kreid.evaluate(kreid.rank(kreid.embed(model, records / "test")))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        if sys.argv[1:]:
            records = Path(sys.argv[1])
        else:
            synthetic.draw(place / "tree", {"train": 12, "valid": 2, "test": 8}, seed=1)
            writer.convert(place / "tree", place / "records")
            records = place / "records"
        print(main(records, place / "run"))
