"""gRPC on loopback, and our few messages held against TensorFlow Serving's own."""

import sys

import numpy as np
import pytest
from odd_images import READ
from serving_stub import ROWS, response, serving

from kreid.errors import ConfigError
from kreid.serving import rpc
from kreid.serving.client import Settings, embed_remotely
from kreid.serving.retries import Retries

grpc = pytest.importorskip("grpc")
KINDS = ("PNG RGB", "PNG L", "JPEG RGB")


@pytest.fixture
def images(tmp_path, monkeypatch):
    monkeypatch.setenv("no_grpc_proxy", "*")
    for number, kind in enumerate(KINDS):
        (tmp_path / f"{number}.png").write_bytes(READ[kind])
    return sorted(tmp_path.glob("*.png"))


def test_images_go_out_and_vectors_come_back(images):
    with serving(response(ROWS)) as (address, received):
        np.testing.assert_array_equal(embed_remotely(f"{address}/versions/3/", images), ROWS)
    (sent,) = map(rpc._messages()["PredictRequest"].FromString, received)
    assert (sent.model_spec.name, sent.model_spec.signature_name, sent.model_spec.version.value) == (
        "kreid",
        "encoded",
        3,
    )
    assert list(sent.inputs[0].value.string_val) == [READ[kind] for kind in KINDS]


def test_what_passes_is_sent_again_once_it_has_answered(images):
    slept = []
    answers = [grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE, response(ROWS)]
    with serving(*answers) as (address, received):
        retries = Retries(60, lambda: 0.0, slept.append, lambda: 1.0)
        np.testing.assert_array_equal(embed_remotely(address, images, Settings(at_once=1), retries=retries), ROWS)
    assert slept == [0.5, 1]
    assert len(received) == 3


WRONG = {
    "no such model": (
        grpc.StatusCode.NOT_FOUND,
        r"answered NOT_FOUND \(not now\); is TensorFlow Serving running there",
    ),
    "away": (grpc.StatusCode.UNAVAILABLE, r"answered UNAVAILABLE \(not now\)"),
    "no message": (b"\xff\xff", "expected a PredictResponse, received"),
    "another output": (response(ROWS, "scores"), r"expected the output embedding, received \['scores'\]"),
    "nothing": (b"", r"expected the output embedding, received \[\]"),
    "another type": (response(ROWS, dtype=2), "expected an embedding of float32, received type 2"),
    "another size": (response(ROWS, shape=(3, 3)), r"expected as many numbers as the shape \(3, 3\) has, received 6"),
    "below zero": (response(ROWS, shape=(-3, -2)), r"expected as many numbers as the shape \(-3, -2\)"),
    "a number an image": (response(ROWS[:, 0]), r"expected vectors, received float32 of shape \(3,\)"),
    "fewer": (response(ROWS[:2]), "expected 3 vectors, one for each image, received 2"),
    "NaN": (response(ROWS * np.nan), "expected vectors of length 1, received one of length nan"),
    "a bad image": (response(ROWS * [[1], [0], [1]]), r"could not read 1 of 3 images \(.*1\.png\)"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_answer_is_told(images, case):
    answer, message = WRONG[case]
    with serving(answer) as (address, _), pytest.raises(ValueError, match=f"^server {address}: {message}"):
        embed_remotely(address, images, Settings(patience=0))


def test_without_grpcio_the_line_to_install_it_is_told(images, monkeypatch):
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(ConfigError, match=r"grpcio is not installed; pip install 'kreid\[grpc\]'"):
        embed_remotely("grpc://127.0.0.1:9/v1/models/kreid", images)


def test_the_messages_are_those_of_tensorflow_serving():
    predict = pytest.importorskip("tensorflow_serving.apis.predict_pb2")
    import tensorflow as tf

    theirs = predict.PredictRequest.FromString(rpc.request_of([b"one", b"two"], "kreid", 3))
    expected = predict.PredictRequest()
    expected.model_spec.name, expected.model_spec.signature_name = "kreid", "encoded"
    expected.model_spec.version.value = 3
    expected.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto([b"one", b"two"]))
    assert theirs == expected
    answer = predict.PredictResponse()
    answer.outputs["other"].CopyFrom(tf.make_tensor_proto(1))
    answer.outputs["embedding"].CopyFrom(tf.make_tensor_proto(ROWS))
    np.testing.assert_array_equal(rpc.vectors_of(answer.SerializeToString()), ROWS)


def test_numbers_that_are_not_packed_are_read():
    np.testing.assert_array_equal(rpc.vectors_of(response(ROWS, packed=False)), ROWS)
