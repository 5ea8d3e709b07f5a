"""The learned vector of each camera."""

import keras
import numpy as np
import pytest
from keras import ops

from kreid.layers.cameras import CameraEmbedding

pytestmark = pytest.mark.backend


def test_each_image_gets_the_vector_of_its_camera():
    layer = CameraEmbedding(3, 2, names=["left", "right", "goal"])
    layer.build((None,))
    layer.set_weights([np.float32([[1, 2], [3, 4], [5, 6]])])
    found = ops.convert_to_numpy(layer(np.int32([2, 0, 2])))
    np.testing.assert_array_equal(found, [[5, 6], [1, 2], [5, 6]])


def test_names_go_where_the_layer_goes():
    layer = CameraEmbedding(2, 4, names=["left", "right"], name="sie_embed")
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert (copy.input_dim, copy.output_dim, copy.names, copy.name) == (2, 4, ("left", "right"), "sie_embed")


def test_another_number_of_names_is_refused():
    with pytest.raises(ValueError, match=r"^names: expected 3, one a camera, received 2$"):
        CameraEmbedding(3, 2, names=["left", "right"])
