"""LiteRT, once TensorFlow Lite, for phones and small boxes."""

from collections.abc import Callable, Mapping
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

Run = Callable[[np.ndarray], np.ndarray]


def write(network: keras.Model, path: Path, precision: str, calibration: np.ndarray, about: Mapping[str, str]) -> None:
    """Write the network; int8 is of the weights alone, so that it needs no `calibration`. `about` has no place here."""
    options: dict[str, object] = {}
    if precision != "float32":
        options["optimizations"] = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        options["target_spec"] = {"supported_types": [tf.float16]}
    network.export(str(path), format="litert", verbose=False, **options)


def read(path: Path) -> Run:
    """Return a function from images to embeddings, computed by LiteRT's interpreter."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    (images,), (embedding,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(values: np.ndarray) -> np.ndarray:
        interpreter.resize_tensor_input(images["index"], values.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(images["index"], values)
        interpreter.invoke()
        return interpreter.get_tensor(embedding["index"])

    return run
