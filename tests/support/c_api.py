"""A SavedModel run by TensorFlow's C API alone: by the loader of TensorFlow Serving, not by Python's."""

import ctypes
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

_STRING = 24  # bytes of a TF_TString
_POINTERS = ("TF_NewStatus", "TF_NewGraph", "TF_NewSessionOptions", "TF_LoadSessionFromSavedModel",
             "TF_GraphOperationByName", "TF_AllocateTensor", "TF_TensorData")  # fmt: skip


class _Port(ctypes.Structure):
    _fields_ = (("operation", ctypes.c_void_p), ("index", ctypes.c_int))


class SavedModel:
    """A version, loaded; `run` answers a signature as TensorFlow Serving would."""

    def __init__(self, folder):
        self._c = ctypes.CDLL(str(Path(tf.sysconfig.get_lib()) / "libtensorflow_cc.so.2"))
        for name in _POINTERS:
            getattr(self._c, name).restype = ctypes.c_void_p
        self._c.TF_Message.restype = ctypes.c_char_p
        self._c.TF_TensorByteSize.restype = ctypes.c_size_t
        self._c.TF_Dim.restype = ctypes.c_int64
        saved = saved_model_pb2.SavedModel()
        saved.ParseFromString((Path(folder) / "saved_model.pb").read_bytes())
        self.signatures = saved.meta_graphs[0].signature_def
        pointer = ctypes.c_void_p
        self._status, self._graph = pointer(self._c.TF_NewStatus()), pointer(self._c.TF_NewGraph())
        options, tags = pointer(self._c.TF_NewSessionOptions()), (ctypes.c_char_p * 1)(b"serve")
        self._session = pointer(self._c.TF_LoadSessionFromSavedModel(
            options, None, str(folder).encode(), tags, 1, self._graph, None, self._status
        ))  # fmt: skip
        self._check()

    def run(self, signature, **inputs):
        """The outputs of a signature, by name; inputs are arrays of numbers, or of bytes."""
        definition = self.signatures[signature]
        names = list(definition.outputs)
        sources = (_Port * len(inputs))(*(self._port(definition.inputs[name].name) for name in inputs))
        values = (ctypes.c_void_p * len(inputs))(*map(self._tensor, inputs.values()))
        wanted = (_Port * len(names))(*(self._port(definition.outputs[name].name) for name in names))
        found = (ctypes.c_void_p * len(names))()
        self._c.TF_SessionRun(self._session, None, sources, values, len(inputs), wanted, found, len(names),
                              None, 0, None, self._status)  # fmt: skip
        self._check()
        return {name: self._array(ctypes.c_void_p(value)) for name, value in zip(names, found, strict=True)}

    def _check(self):
        assert self._c.TF_GetCode(self._status) == 0, self._c.TF_Message(self._status)

    def _port(self, name):
        operation, _, index = name.partition(":")
        found = self._c.TF_GraphOperationByName(self._graph, operation.encode())
        assert found, name
        return _Port(found, int(index or 0))

    def _tensor(self, array):
        dims = (ctypes.c_int64 * array.ndim)(*array.shape)
        strings = array.dtype == object
        kind = tf.string if strings else tf.as_dtype(array.dtype)
        size = ctypes.c_size_t(array.size * _STRING if strings else array.nbytes)
        tensor = ctypes.c_void_p(self._c.TF_AllocateTensor(kind.as_datatype_enum, dims, array.ndim, size))
        data = self._c.TF_TensorData(tensor)
        if not strings:
            ctypes.memmove(data, np.ascontiguousarray(array).ctypes.data, array.nbytes)
        for number, text in enumerate(array.flat if strings else ()):
            place = ctypes.c_void_p(data + number * _STRING)
            self._c.TF_StringInit(place)
            self._c.TF_StringCopy(place, text, ctypes.c_size_t(len(text)))
        return tensor.value

    def _array(self, tensor):
        shape = [self._c.TF_Dim(tensor, axis) for axis in range(self._c.TF_NumDims(tensor))]
        data = ctypes.string_at(self._c.TF_TensorData(tensor), self._c.TF_TensorByteSize(tensor))
        return np.frombuffer(data, tf.as_dtype(self._c.TF_TensorType(tensor)).as_numpy_dtype).reshape(shape)
