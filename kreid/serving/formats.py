"""The table of export formats: a line each, plain data, so that a command checks its arguments without TensorFlow.

A format is a module of this room with `write(network, path, precision, calibration, about)` and `read(path)`, which
returns a function from what the contract takes to embeddings. Imports the standard library and `kreid.errors`.
"""

import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from kreid.errors import ConfigError

MAX_PIXELS = 16_000_000  # of an image that a server decodes: 48 MB, and 192 MB while it is resized
PRECISIONS = ("float32", "float16", "int8")


@dataclass(frozen=True)
class Format:
    """A kind of file that a network is written to.

    Args:
        name: what `--format` says, and the extra of `pip install`.
        suffix: what its file ends in.
        module: of this room.
        packages: modules that it needs, to write and to check what it wrote.
        precisions: of `PRECISIONS`.
    """

    name: str
    suffix: str
    module: str
    packages: tuple[str, ...]
    precisions: tuple[str, ...] = PRECISIONS

    def check(self, precision: str) -> None:
        """Complain where a package is missing, or the format does not know the precision.

        Raises:
            ConfigError: naming the line of pip, or the precisions.
        """
        if precision not in self.precisions:
            known = ", ".join(self.precisions)
            raise ConfigError(f"precision {precision}: {self.name} is written in {known} here; choose another format")
        for package in self.packages:
            if importlib.util.find_spec(package) is None:
                raise ConfigError(
                    f'format {self.name}: needs {package}, which is not installed: pip install "kreid[{self.name}]"'
                )

    def check_name(self, path: Path) -> None:
        """Complain about a file whose name ends otherwise: programs go by it.

        Raises:
            ConfigError: naming the ending.
        """
        if path.suffix != self.suffix:
            raise ConfigError(f"out {path}: expected a name that ends in {self.suffix}, as files of {self.name} do")

    def load(self) -> ModuleType:
        """Return the module; TensorFlow is imported here."""
        return importlib.import_module(f"kreid.serving.{self.module}")


FILES = {
    line.name: line
    for line in (
        Format("onnx", ".onnx", "onnx_file", ("tf2onnx", "onnx", "onnxruntime")),
        Format("litert", ".tflite", "litert_file", ("ai_edge_litert",)),
        Format("openvino", ".xml", "openvino_file", ("openvino",), precisions=("float32", "float16")),
    )
}
