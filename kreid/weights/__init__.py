"""Weights that people have, as named arrays, and into Keras models: without PyTorch, Caffe or running pickled code.

Imports NumPy, h5py, `kreid.errors`, `kreid.files` and what reads arrays in `tfrecords_tools`; no TensorFlow, and Keras
for types alone.

    tensors = kreid.weights.read("pose_iter_584000.caffemodel")   # {"conv1_1.weight": array, ...}
    report = kreid.weights.assign(backbone, tensors)              # loaded, missing, unused, misshapen
    report = kreid.weights.load(backbone, "model.pth.tar-60")     # both, and the log says which file it is

Formats are told by their contents: `.caffemodel` of both generations, `.pth` and `.pt` in both containers, TorchScript
too, `.npz`, `.safetensors`, and Keras's `.weights.h5`, `.keras` and older `.h5`.

Example:
    >>> tensors = kreid.weights.read("saved_models/demo/model.weights.h5")
    >>> kreid.weights.assign(model, tensors).missing
    ()
"""

from kreid.weights.assignment import Misshapen, Report, assign
from kreid.weights.files import KNOWN, Summary, describe, identify, read
from kreid.weights.loading import convert, load

__all__ = ["KNOWN", "Misshapen", "Report", "Summary", "assign", "convert", "describe", "identify", "load", "read"]
