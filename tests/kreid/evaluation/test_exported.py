"""What a written network costs, by its embeddings."""

import keras
import numpy as np

from kreid.evaluation.exported import score_exported
from kreid.layers.normalization import L2Normalization


def test_scores_of_the_network_and_of_what_was_written(records):
    image = keras.Input((16, 8, 3))
    x = keras.layers.Flatten()(keras.layers.AveragePooling2D(4)(image))
    model = keras.Model(image, {"embedding": L2Normalization()(x)})
    batches, seen = [], []

    def same(images):
        batches.append(len(images))
        return np.asarray(model(images)["embedding"])

    before, after = score_exported(model, same, records / "test", lambda done, total: seen.append((done, total)))
    assert before == after
    assert 0 < before["mAP"] < 1
    assert sum(batches) == seen[-1][1] + 1  # and one image to compile it with

    def blind(images):
        return np.eye(24)[np.arange(len(images)) % 24]

    assert score_exported(model, blind, records / "test")[1]["mAP"] < before["mAP"]
