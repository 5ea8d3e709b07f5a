"""examples/track.py, which docs/trackers.md explains: its loop by hand, and a drawn sequence at toy size."""

import importlib.util
import re

import numpy as np
import pytest
from configurations import changed
from paths import ROOT
from tiny_runs import make_run

pytestmark = pytest.mark.usefixtures("resnet_stem", "short_vit")

SPEC = importlib.util.spec_from_file_location("track_example", ROOT / "examples" / "track.py")
track = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(track)

COLOURS = {"red": (250, 0, 0), "green": (0, 250, 0), "pink": (250, 60, 60)}  # red and pink are 0.05 apart


def embed(crops):
    """Mean colours as vectors."""
    means = np.stack([crop.mean(axis=(0, 1)) for crop in crops]) if crops else np.zeros((0, 3))
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def frames(*shown):
    """A frame for each text: people by colour, from left to right, `-` for a place without one."""
    for names in shown:
        picture = np.zeros((10, 50, 3), np.uint8)
        boxes = []
        for place, name in enumerate(names.split()):
            if name != "-":
                picture[:, 10 * place : 10 * place + 8] = COLOURS[name]
                boxes.append((10 * place, 0, 10 * place + 8, 10))
        yield track.Frame(picture, np.array(boxes, int).reshape(-1, 4), np.zeros(len(boxes), int))


def numbers(*shown, **options):
    return [found.tolist() for found in track.track(frames(*shown), embed, **{"most": 0.01, **options})]


def test_people_keep_their_numbers_wherever_they_go():
    assert numbers("red green", "- - green red", "pink green - - red") == [[0, 1], [1, 0], [2, 1, 0]]


def test_who_comes_back_in_time_has_the_number_of_before():
    shown = ["red green", "- green", "- green", "- green red"]
    assert numbers(*shown, patience=3)[-1] == [1, 0]
    assert numbers(*shown, patience=2)[-1] == [1, 2]


def test_the_threshold_decides_who_is_somebody_else():
    assert numbers("red", "- pink", most=0.01) == [[0], [1]]
    assert numbers("red", "- pink", most=0.2) == [[0], [0]]


def test_a_box_in_the_place_of_the_frame_before_is_the_same_person_but_not_after_a_gap():
    assert numbers("red", "pink") == [[0], [0]]
    assert numbers("red", "-", "pink") == [[0], [], [1]]


def test_overlaps_by_hand():
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 0, 30, 10]])
    np.testing.assert_allclose(track.overlaps(boxes[:1], boxes), [[1, 1 / 3, 0]])


def test_nobody_is_two_people_in_one_frame():
    assert numbers("red", "red red")[1] == [0, 1]


def test_frames_without_anybody():
    assert numbers("", "red", "") == [[], [0], []]


def test_errors_by_hand():
    people, found = np.array([0, 0, 0, 1, 1]), np.array([5, 5, 6, 7, 7])
    assert track.count_errors(people, found) == (1, 0.8)


def write_onnx(path, shape):
    onnx, _ = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    image = onnx.helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, shape)
    vector = onnx.helper.make_tensor_value_info("embedding", onnx.TensorProto.FLOAT, ["batch", 3])
    nodes = [
        onnx.helper.make_node("GlobalAveragePool", ["images"], ["mean"]),
        onnx.helper.make_node("Flatten", ["mean"], ["embedding"]),
    ]
    graph = onnx.helper.make_graph(nodes, "colours", [image], [vector])
    model = onnx.helper.make_model(graph, ir_version=9, opset_imports=[onnx.helper.make_opsetid("", 17)])
    onnx.save(model, path)


def test_an_onnx_file_is_fed_what_the_tracker_contract_says(tmp_path):
    write_onnx(tmp_path / "colours.onnx", ["batch", 3, 8, 4])
    crop = np.full((20, 10, 3), (255, 0, 51), np.uint8)
    expected = [(1 - 0.485) / 0.229, (0 - 0.456) / 0.224, (0.2 - 0.406) / 0.225]
    np.testing.assert_allclose(track.load_embedder(tmp_path / "colours.onnx")([crop]), [expected], rtol=1e-5)


def test_an_onnx_file_of_other_images_is_refused(tmp_path):
    write_onnx(tmp_path / "colours.onnx", ["batch", "height", "width", 3])
    with pytest.raises(SystemExit, match=r"colours.onnx: not what trackers feed; .* --input tracker"):
        track.load_embedder(tmp_path / "colours.onnx")


def test_a_run_that_asks_for_cameras_is_refused(tiny_vit, tmp_path):
    stream = {"backbone": "transreid_vit_s16", "cameras": 2, "camera_names": ["a", "b"]}
    config = changed(tiny_vit, model={"appearance": stream})
    with pytest.raises(SystemExit, match="run: asks for the camera of each image, which a tracker does not tell"):
        track.load_embedder(make_run(tmp_path / "run", config))


def test_one_player_out_of_sight_leaves_frames_without_boxes(run_folder):
    frames = list(track.draw_sequence(6, 1))
    assert min(len(frame.boxes) for frame in frames) == 0
    found = list(track.track(iter(frames), track.load_embedder(run_folder), 0.5))
    assert [len(numbers) for numbers in found] == [len(frame.boxes) for frame in frames]


def test_drawn_players_are_tracked_through_a_run_itself(run_folder, monkeypatch, capsys):
    line = ["track.py", str(run_folder), "--frames", "6", "--people", "3", "--most", "0.5"]
    monkeypatch.setattr("sys.argv", line)
    track.main()
    (said,) = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"\d+ boxes of 3 people: \d+ tracks, \d+ changes of number, [\d.]+ % of boxes in .*", said)


def test_a_drawn_sequence_has_people_where_its_boxes_are():
    drawn = list(track.draw_sequence(10, 3))
    assert {person for frame in drawn for person in frame.people} == {0, 1, 2}
    assert any(len(frame.people) < 3 for frame in drawn)
    for picture, boxes, _ in drawn:
        assert (boxes[:, :2] >= 0).all()
        assert (boxes[:, 2:] <= (track.WIDTH, track.HEIGHT)).all()
        for left, top, right, bottom in boxes:
            assert picture[top:bottom, left:right].std() > 0
