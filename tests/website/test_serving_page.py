"""docs/serving.md: its lines that need no container, run as they stand against servers of our own."""

import base64
import json
import re
import shlex
import shutil
import subprocess

import numpy as np
import pytest
from lying_server import answering, http
from odd_images import READ
from serving_stub import ROWS, response, serving
from tiny_runs import script

from website.paths import PAGES

TEXT = (PAGES / "serving.md").read_text(encoding="utf-8")
FILES = {"a.png": READ["PNG RGB"], "b.png": READ["JPEG RGB"]}
RIGHT = http(json.dumps({"predictions": ROWS[:2].tolist()}).encode())


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with what the page names."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("no_grpc_proxy", "*")
    (tmp_path / "saved_models" / "two_stream").mkdir(parents=True)
    (tmp_path / "saved_models" / "two_stream" / "config.yaml").touch()
    (tmp_path / "crops").mkdir()
    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data)
        (tmp_path / "crops" / name).write_bytes(data)
    return tmp_path


def blocks(word):
    found = [block.strip() for block in re.findall(r"^```sh\n(.*?)^```", TEXT, re.M | re.S) if word in block]
    assert found, f"docs/serving.md has no sh block with {word}"
    return found


def test_curl_asks_for_two_files(place):
    if not shutil.which("curl"):
        pytest.skip("no curl")
    state, ask = blocks("curl")
    for line in (state, ask):
        with answering(RIGHT) as (address, received):
            line = line.replace("http://localhost:8501/v1/models/kreid", address)
            done = subprocess.run(["sh", "-c", line], cwd=place, capture_output=True, check=True)
        assert json.loads(done.stdout) == {"predictions": ROWS[:2].tolist()}
    sent = json.loads(received[0])
    assert sent["signature_name"] == "checked"
    assert [base64.b64decode(image["image_bytes"]["b64"]) for image in sent["instances"]] == list(FILES.values())


def test_the_client_asks_by_rest_and_grpc(place):
    lines = [line for block in blocks("kreid-embed") for line in block.replace("\\\n", "").splitlines()]
    assert len(lines) == 3
    for line in lines:
        with answering(RIGHT) as (rest, _), serving(response(ROWS[:2])) as (rpc, _):
            line = line.replace("http://localhost:8501/v1/models/kreid", rest)
            line = line.replace("grpc://localhost:8500/v1/models/kreid", rpc)
            done = script(*shlex.split(line), cwd=place)
        assert (done.returncode, done.stderr) == (0, "")
    for name in ("rest.npz", "grpc.npz", "crops.npz"):
        np.testing.assert_allclose(np.load(place / name)["vectors"], ROWS[:2])


def test_the_python_asks_by_the_messages_of_tensorflow_serving(place, monkeypatch):
    pytest.importorskip("tensorflow_serving.apis.predict_pb2")
    (code,) = re.findall(r"^```python\n(.*?)^```", TEXT, re.M | re.S)
    monkeypatch.chdir(place)
    said = {}
    with serving(response(ROWS[:2], ok=[True, False])) as (address, received):
        exec(compile(code.replace("localhost:8500", address.split("/")[2]), "serving.md", "exec"), said)
    np.testing.assert_array_equal(said["vectors"], ROWS[:2])
    assert said["good"].tolist() == [True, False]
    assert b"checked" in received[0]
    assert all(data in received[0] for data in FILES.values())
