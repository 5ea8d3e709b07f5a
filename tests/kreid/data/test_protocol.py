"""Which protocol a split is scored by: the user's, else that of its records, else SoccerNet's."""

import json
from typing import get_args

import numpy as np
import pytest

from kreid.cli.switches import ProtocolName
from kreid.config.sections import Evaluation
from kreid.data.protocol import chosen_protocol
from kreid.data.records import read_labels
from kreid.ranking.protocols import PROTOCOLS
from tfrecords_tools.index import read_index, read_info


def test_one_table_of_names():
    wanted, _ = get_args(Evaluation.model_fields["protocol"].annotation)
    assert list(get_args(wanted)) == list(ProtocolName) == list(PROTOCOLS)


def test_who_asks_wins_then_the_records_then_action(filmed, records, tmp_path):
    assert chosen_protocol(filmed / "test") == chosen_protocol(filmed / "test" / "index.npz") == "cross_camera"
    assert chosen_protocol(filmed / "test", "action") == "action"
    assert chosen_protocol(records / "test") == chosen_protocol(records / "test", None) == "action"
    assert chosen_protocol(records / "test", "cross_camera") == "cross_camera"
    assert chosen_protocol(tmp_path / "bbox_info.json") == chosen_protocol(tmp_path) == "action"


@pytest.mark.parametrize("named", ["market", None, 3, ["action"]])
def test_a_protocol_that_nobody_knows_is_told_with_its_file(records, tmp_path, named):
    split = read_info(records)["splits"]["test"]
    copy = tmp_path / "copy" / "test"
    copy.mkdir(parents=True)
    (copy / "index.npz").write_bytes((records / "test" / "index.npz").read_bytes())
    info = {"schema_version": read_info(records)["schema_version"], "splits": {"test": {**split, "protocol": named}}}
    (copy.parent / "info.json").write_text(json.dumps(info))
    with pytest.raises(
        ValueError, match=r"copy/info.json: protocol of test: expected one of action, cross_camera, rec"
    ):
        chosen_protocol(copy)
    assert chosen_protocol(copy, "action") == "action"


def test_labels_have_the_camera_where_one_is_known(filmed, records):
    with read_index(filmed / "test") as index:
        whole, part = read_labels(index), read_labels(index, np.array([5, 2]))
        assert set(whole.camera) == {0, 1, 2}
        np.testing.assert_array_equal(whole.camera, index.camera)
        np.testing.assert_array_equal(part.camera, whole.camera[[5, 2]])
        np.testing.assert_array_equal(part.bbox, index.bbox[[5, 2]])
    with read_index(records / "test") as index:
        assert read_labels(index).camera is None
