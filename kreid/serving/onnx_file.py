"""ONNX, for onnxruntime, OpenCV and trackers."""

import contextlib
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import keras
import numpy as np
import onnx
import tensorflow as tf
from tf2onnx.graph import Graph, Node
from tf2onnx.handler import tf_op

Run = Callable[[np.ndarray], np.ndarray]
# Layers that compute in float32 in every precision: what brings images to the network's size and range, and what
# multiplies maps and sums squares, which float16 does not hold.
_FULL = ("any_size", "to_grey_levels", "preprocess", "fusion", "stripes", "embedding", "final")


@tf_op("Erfc")
class _Complement:
    """1 - erf(x), of Keras's exact GELU, which tf2onnx has no words for and ONNX only erf."""

    @classmethod
    def version_9(cls, ctx: Graph, node: Node, **_: object) -> None:
        """Put the two nodes in the place of the one."""
        shapes, kinds = node.output_shapes, node.output_dtypes
        ctx.remove_node(node.name)
        erf = ctx.make_node("Erf", node.input, shapes=shapes, dtypes=kinds)
        one = ctx.make_const(f"{node.name}_one", np.array(1, onnx.helper.tensor_dtype_to_np_dtype(kinds[0])))
        ctx.make_node(
            "Sub", [one.output[0], erf.output[0]], name=node.name, outputs=node.output, shapes=shapes, dtypes=kinds
        )


def write(network: keras.Model, path: Path, precision: str, calibration: np.ndarray, about: Mapping[str, str]) -> None:
    """Write the network; `calibration` is what int8 takes the ranges of its maps from."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # Keras mends tf2onnx for NumPy 2, and asks for `np.object`
        images = tf.TensorSpec(network.input_shape, tf.float32, name="images")  # Keras asks for it unless it was called
        network.export(path, format="onnx", verbose=False, input_signature=[images])
    if precision == "int8":
        _quantize(path, calibration)
    written = onnx.load(path)
    if precision == "float16":
        written = _halve(written)
    for value in (*written.graph.input, *written.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    for name, text in about.items():
        written.metadata_props.add(key=name, value=text)
    onnx.checker.check_model(written)
    onnx.save(written, path)


def read(path: Path) -> Run:
    """Return a function from images to embeddings, computed by onnxruntime on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(images: np.ndarray) -> np.ndarray:
        return session.run(["embedding"], {"images": images})[0]

    return run


def _halve(written: onnx.ModelProto) -> onnx.ModelProto:
    """Compute in float16, but for images, embedding and the layers that need more."""
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    halved = convert_float_to_float16(written, keep_io_types=True, node_block_list=_nodes(written, _FULL))
    _join(halved.graph)
    OnnxModel.graph_topological_sort(halved.graph)  # its casts of what is read in float32 stand at the end
    return halved


def _join(graph: onnx.GraphProto) -> None:
    """Hand float32 from node to node where the converter casts it to float16 and back, in which small squares are 0."""
    made = {name: node for node in graph.node for name in node.output}

    def is_cast(name: str, kind: int) -> bool:
        return name in made and made[name].op_type == "Cast" and made[name].attribute[0].i == kind

    for node in graph.node:
        for place, name in enumerate(node.input):
            if is_cast(name, onnx.TensorProto.FLOAT) and is_cast(made[name].input[0], onnx.TensorProto.FLOAT16):
                node.input[place] = made[made[name].input[0]].input[0]


def _quantize(path: Path, calibration: np.ndarray) -> None:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Batches(CalibrationDataReader):
        def __init__(self) -> None:
            self._left: Iterator[np.ndarray] = iter(np.array_split(calibration, max(1, len(calibration) // 8)))

        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(self._left, None)
            return None if batch is None else {"images": batch}

    with tempfile.TemporaryDirectory(dir=path.parent) as folder, _unadvised():
        full = path.rename(Path(folder) / "float32.onnx")
        quantize_static(
            full,
            path,
            Batches(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,  # to 7 bits: sums of 8 overflow on processors without VNNI
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["Conv", "Gemm", "MatMul"],
            nodes_to_exclude=_nodes(onnx.load(full), _FULL),
        )


@contextlib.contextmanager
def _unadvised() -> Iterator[None]:
    """Leave out the advice to fuse operations first, which is done: norms are folded."""

    def is_other(record: logging.LogRecord) -> bool:
        return "pre-processing" not in record.getMessage()

    logging.getLogger().addFilter(is_other)
    try:
        yield
    finally:
        logging.getLogger().removeFilter(is_other)


def _nodes(written: onnx.ModelProto, layers: tuple[str, ...]) -> list[str]:
    return [node.name for node in written.graph.node if any(layer in node.name for layer in layers)]
