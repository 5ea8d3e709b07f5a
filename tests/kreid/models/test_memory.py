"""What a training step needs in memory: by hand for small networks, less where blocks are computed anew."""

import keras
import pytest
from configurations import changed

from kreid.config.sections import Train
from kreid.models.embedders import build_model
from kreid.models.memory import training_memory

pytestmark = pytest.mark.backend


def test_memory_by_hand():
    """A convolution of 3 x 3 x 2 weights without bias at 4 x 4 places and a norm of 2 x 4; each output is kept."""
    image = keras.Input((4, 4, 1))
    x = keras.layers.Conv2D(2, 3, padding="same", use_bias=False)(image)
    x = keras.layers.Flatten()(keras.layers.BatchNormalization()(x))
    model = keras.Model(image, keras.layers.Dense(3, use_bias=False)(x))
    learning, resting, kept = 18 + 4 + 96, 4, 16 + 32 + 32 + 3
    plain = training_memory(model, Train(), batch=5)
    assert plain == (4 * (learning + resting), 4 * learning, 8 * learning, 4 * 5 * kept)
    assert plain.total == sum(plain)
    more = Train(optimizer="sgd", ema=0.9, accumulate=2, precision="mixed_bfloat16")
    assert training_memory(model, more, batch=5)[2:] == (12 * learning, 2 * 5 * kept)


def test_with_blocks_computed_anew_one_of_them_and_what_enters_each_is_kept(tiny_vit):
    """Three blocks of 3 tokens, 24 channels: by hand what one keeps, twice more of which is saved but its input."""
    model = build_model(changed(tiny_vit, model={"heads": {"layers": []}}).model, pretrained=False)
    tokens, width, heads = 3, 24, 6
    inside = tokens * width * (1 + 3 + 1 + 1 + 1 + 1 + 4 + 4 + 1 + 1) + 2 * heads * tokens**2
    plain, anew = (training_memory(model, Train(remat=remat), batch=1).activations for remat in (False, True))
    assert plain - anew == 4 * (2 * inside - 3 * tokens * width)
