"""LiteRT, once TensorFlow Lite, for phones and small boxes."""

import os
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
    """Return a function from images to embeddings, computed by LiteRT's interpreter on this process's cores."""
    from ai_edge_litert.interpreter import Interpreter

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()  # macOS has it not
    interpreter = Interpreter(str(path), num_threads=cores)
    (images,), (embedding,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(values: np.ndarray) -> np.ndarray:
        interpreter.resize_tensor_input(images["index"], values.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(images["index"], values)
        interpreter.invoke()
        return interpreter.get_tensor(embedding["index"])

    return run
