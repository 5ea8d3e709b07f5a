"""TensorFlow Serving's Predict over gRPC on loopback, with answers of one's own."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np

from kreid.serving import rpc

ROWS = np.array([[0.6, 0.8], [1, 0], [0, -1]], np.float32)
_BOOL = 10  # TensorFlow's number for its type


def response(rows, name="embedding", dtype=1, shape=None, packed=True, ok=None):
    """A PredictResponse of these rows, and of `ok` beside them where it is given."""
    rows = np.asarray(rows, np.float32)
    message = rpc._messages()["PredictResponse"]()
    tensor = message.outputs.add(key=name).value
    tensor.dtype = dtype
    for size in shape or rows.shape:
        tensor.tensor_shape.dim.add(size=size)
    if packed:
        tensor.tensor_content = rows.tobytes()
    else:
        tensor.float_val.extend(rows.reshape(-1))
    if ok is not None:
        flags = message.outputs.add(key="ok").value
        flags.dtype, flags.tensor_content = _BOOL, np.array(ok).tobytes()
        flags.tensor_shape.dim.add(size=len(ok))
    return message.SerializeToString()


@contextmanager
def serving(*answers):
    """Give each answer once, in order: bytes, or a status with which a call fails; gives the address and requests."""
    import grpc

    received = []

    def predict(request, context):
        received.append(request)
        answer = answers[len(received) - 1]
        if isinstance(answer, grpc.StatusCode):
            context.abort(answer, "not\n now")
        return answer

    handlers = grpc.method_handlers_generic_handler(
        "tensorflow.serving.PredictionService", {"Predict": grpc.unary_unary_rpc_method_handler(predict)}
    )
    with ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool, [handlers])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"grpc://127.0.0.1:{port}/v1/models/kreid", received
        finally:
            server.stop(0).wait()
