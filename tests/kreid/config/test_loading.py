"""Configurations: every file of configs/ loads; every mistake names its key."""

import paths
import pytest
import yaml

from kreid.config.loading import check, dump, load_config, load_tree
from kreid.errors import ConfigError

CONFIGS = sorted(paths.CONFIGS.glob("*.yaml"))
TWO_STREAM = "model: {embedder: two_stream}\n"


def load(tmp_path, text, overrides=()):
    path = tmp_path / "run.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path, overrides)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_configuration_loads_and_reads_back_equal(path):
    config = load_config(path)
    assert check(yaml.safe_load(dump(config))) == config
    head = path.read_text(encoding="utf-8").split("model:")[0]
    assert f"kreid-train configs/{path.name}" in head, "the head comment gives the command"


def test_paper_defaults():
    config = check({"model": {"embedder": "two_stream"}})
    model, loss, data, train = config.model, config.loss, config.data, config.train
    assert model.image_size == (256, 128)
    assert (model.part.arch, model.part.paf_stages, model.part.confidence_stages) == ("body_25", 4, 2)
    assert (model.bilinear.mode, model.bilinear.output_dim, model.bilinear.pool) == ("compact", 8192, "mean")
    assert (loss.margin, loss.mining, loss.distance, loss.same_action) == (0.3, "hard", "euclidean", True)
    assert loss.identity_weight == 0
    assert data.persons * data.views == 32
    assert (data.flip, data.crop_padding, data.erase) == (0.5, 0, 0.0), "the flip alone"
    assert data.hue == data.saturation == data.contrast == data.brightness == 0.0
    assert (train.optimizer, train.learning_rate, train.epochs) == ("adam", 1e-5, 60)


def test_coco_has_stages_of_its_own():
    part = check({"model": {"embedder": "two_stream", "part": {"arch": "coco"}}}).model.part
    assert (part.paf_stages, part.confidence_stages) == (6, 6)


def test_a_transformer_ends_in_its_last_tokens():
    model = {"embedder": "two_stream", "appearance": {"backbone": "clip_vit_b16"}}
    assert check({"model": model}).model.appearance.layer == "last"
    assert check({"model": {"embedder": "two_stream"}}).model.appearance.layer == "conv5"


def test_overlapping_patches_leave_what_is_over():
    appearance = {"backbone": "transreid_vit_s16", "stride": 12}
    model = {"embedder": "one_stream", "appearance": appearance, "image_size": [250, 130]}
    assert check({"model": model}).model.image_size == (250, 130)


def test_evaluation_is_plain_by_default_and_rerank_takes_its_own_defaults():
    two_stream = {"embedder": "two_stream"}
    evaluation = check({"model": two_stream}).evaluation
    plain = {"flip": False, "crops": 1, "embedding": "final", "expand": 0, "rerank": None, "protocol": None}
    assert evaluation.model_dump() == plain
    for value, expected in ((True, (3, 2, 0.3)), ({"k1": 9}, (9, 2, 0.3))):
        rerank = check({"model": two_stream, "evaluation": {"rerank": value}}).evaluation.rerank
        assert (rerank.k1, rerank.k2, rerank.weight) == expected
    assert check({"model": two_stream, "evaluation": {"rerank": False}}).evaluation.rerank is None


def test_scientific_notation_is_the_number_meant(tmp_path):
    assert yaml.safe_load("1e-5") == "1e-5"
    assert load(tmp_path, TWO_STREAM + "train: {learning_rate: 1e-5}").train.learning_rate == 1e-5
    assert load(tmp_path, TWO_STREAM, ["train.learning_rate=3e-4"]).train.learning_rate == 3e-4


def test_a_text_is_read_once_and_every_reader_has_a_tree_of_his_own(tmp_path, monkeypatch):
    path, section = tmp_path / "run.yaml", "model: {embedder: two_stream, bilinear: {output_dim: 64}}"
    path.write_text(f"{section}  # of {tmp_path}", encoding="utf-8")
    read = []
    monkeypatch.setattr(yaml, "load", lambda *given, load=yaml.load, **more: read.append(given) or load(*given, **more))
    changed, again = load_tree(path, ["model.bilinear.output_dim=32"]), load_tree(path)
    assert (changed["model"]["bilinear"], again["model"]["bilinear"]) == ({"output_dim": 32}, {"output_dim": 64})
    again["model"]["bilinear"]["output_dim"] = 16
    assert load_tree(path)["model"]["bilinear"] == {"output_dim": 64}
    assert len([text for text, *_ in read if str(tmp_path) in text]) == 1


def test_overrides_reach_any_depth(tmp_path):
    config = load(
        tmp_path, TWO_STREAM, ["model.heads.layers=[conv3, conv4]", "train.epochs=5", "model.part.weights=w.pth"]
    )
    assert config.model.heads.layers == ("conv3", "conv4")
    assert config.train.epochs == 5
    assert config.model.part.weights == "w.pth"


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        (TWO_STREAM + "trian: {}", [], "trian: unknown key; did you mean train?"),
        (TWO_STREAM + "train: {epoch: 5}", [], "train.epoch: unknown key; did you mean epochs?"),
        ("model: {embedder: two_stream, part: {archh: coco}}", [], "model.part.archh: unknown key; did you mean arch?"),
        ("model: {embedder: one_stream, part: {}}", [], "model.part: unknown key"),
        ("model: {embedder: triple}", [], "model.embedder: expected two_stream or one_stream, received 'triple'"),
        ("model: {}", [], "model.embedder: expected two_stream or one_stream, received None"),
        ("loss: {}", [], "model: missing"),
        (TWO_STREAM + "train: {learning_rate: fast}", [], "train.learning_rate: .*number.*'fast'"),
        (TWO_STREAM + "loss: {same_action: 3}", [], "loss.same_action: .*3"),
        (TWO_STREAM + "loss: {margin: hard}", [], "; loss.margin: input should be 'soft', received 'hard'"),
        (TWO_STREAM + "loss: {circle_margin: 1}", [], "loss.circle_margin: .*less than 1, received 1"),
        (
            TWO_STREAM,
            ["loss.triplet_weight=0"],
            "loss: every weight is 0, so nothing .* set triplet_weight, .*circle_weight, .* or jersey_weight",
        ),
        (TWO_STREAM + "train: {epochs: yes}", [], "train.epochs: .*no truth value.*True"),
        (TWO_STREAM + "train: {learning_rate: .inf}", [], "train.learning_rate: .*finite.*inf"),
        ("{[1]: 2}", [], "line 1: expected a word as key"),
        (TWO_STREAM + "data: {fraction: 0}", [], "data.fraction: .*greater than 0.*0"),
        (TWO_STREAM + "data: {fraction: 1.5}", [], "data.fraction: .*less than or equal to 1.*1.5"),
        (TWO_STREAM + "data: {views: 1}", [], "data.views: .*2.*1"),
        (TWO_STREAM + "data: {erase_area: [0.4, 0.02]}", [], "data.erase_area: .*least, then the most.*0.4, 0.02"),
        (TWO_STREAM + "data: {hue: 0.6}", [], "data.hue: .*less than or equal to 0.5.*0.6"),
        (
            "model: {embedder: one_stream, appearance: {backbone: dinov2_vit_s14}}",
            [],
            "model.image_size: .*multiples of 14 pixels, the patch of dinov2_vit_s14, such as 252 x 126, .* 256 x 128$",
        ),
        (
            "model: {embedder: two_stream, image_size: [250, 128], appearance: {backbone: clip_vit_b32}}",
            [],
            "model.image_size: .*multiples of 32 pixels.* 256 x 128, received 250 x 128$",
        ),
        (
            TWO_STREAM,
            ["model.embedding=concat"],
            "model.embedding: concat joins .* model.heads.layers names none; name some, or leave model.embedding out$",
        ),
        (TWO_STREAM + "evaluation: {embedding: concat}", [], ": evaluation.embedding: concat joins .*evaluation.embed"),
        (TWO_STREAM + "data: {crop_padding: 128}", [], "data.crop_padding: .*less than .*256 and 128.*received 128$"),
        (TWO_STREAM + "train: {epochs: 1}\ntrain: {epochs: 2}", [], "line 3: key 'train' is given twice"),
        (TWO_STREAM + "train: {weight_decay: 5e-4}", [], "adamw"),
        (TWO_STREAM + "train: {seed: -1}", [], "train.seed: .*greater than or equal to 0.*-1"),
        (TWO_STREAM + "train: {seed: 4294967296}", [], "train.seed: .*less than 4294967296"),
        (TWO_STREAM, ["train.steps_per_epoch=99999999999999999999"], "train.steps_per_epoch: .*less than 2147483648"),
        (TWO_STREAM, ["data.views=4294967296"], "data.views: .*less than 2147483648"),
        (
            "model: {embedder: two_stream, bilinear: {output_dim: 100000000}}",
            [],
            "model.bilinear.output_dim: .*less than or equal to 1048576, received 100000000",
        ),
        ("model: {embedder: one_stream, fc: [512, 9999999]}", [], "model.fc.1: .*1048576, received 9999999"),
        ("model: {embedder: one_stream, image_size: [99999, 128]}", [], "image_size.0: .*16384, received 99999"),
        (TWO_STREAM + "train: {freeze_epochs: 2}", [], "train: freeze_epochs says when .* train.freeze learn again"),
        ("model: {embedder: two_stream, part: {paf_stages: 5}}", [], "body_25 has at most 4 paf_stages"),
        ("model: {embedder: two_stream, part: {arch: coco, paf_stages: 2}}", [], "must be equal"),
        ("- a list", [], "expected keys such as `model:`, received list"),
        ("", [], "expected keys such as `model:`, received NoneType"),
        ("model: [", [], "line 1: not YAML"),
        (TWO_STREAM + "evaluation: {crops: 7}", [], "evaluation.crops: .*less than or equal to 6.*7"),
        (TWO_STREAM + "evaluation: {embedding: all}", [], "evaluation.embedding: .*'final' or 'concat'.*'all'"),
        (TWO_STREAM + "evaluation: {rerank: {wieght: 1}}", [], "rerank.wieght: unknown key; did you mean weight?"),
        (TWO_STREAM + "evaluation: {rerank: {weight: 2}}", [], "evaluation.rerank.weight: .*2"),
        (TWO_STREAM, ["epochs"], "override 'epochs': expected section.key=value"),
        (TWO_STREAM, ["model.embedder.x=1"], "model.embedder is a value, not a section"),
        (
            TWO_STREAM + "train: {epochs: 010}",
            [],
            "line 2: 010 is octal or sexagesimal in YAML; write a decimal number",
        ),
        (TWO_STREAM + "train: {epochs: 1:30}", [], "line 2: 1:30 is octal or sexagesimal"),
        (TWO_STREAM, ["train.learning_rate=1:30.5"], "learning_rate=1:30.5': line 1: 1:30.5 is octal or sexagesimal"),
        (
            TWO_STREAM + "train: {epochs: 3, seed: 1}",
            ["train={seed: 2}"],
            "override 'train={seed: 2}': would drop what is set of train besides: epochs; set key by key",
        ),
        (TWO_STREAM, ["train.seed=1", "train={epochs: 2}"], "would drop what is set of train besides: seed"),
        (TWO_STREAM, ["train.epochs=[1"], "override 'train.epochs=\\[1': line 1: not YAML"),
    ],
)
def test_mistakes_name_the_key(tmp_path, text, overrides, message):
    with pytest.raises(ValueError, match=message) as error:
        load(tmp_path, text, overrides)
    assert "\n" not in str(error.value)


def test_heads_that_are_there_are_joined(tmp_path):
    heads = ["model.heads.layers=[conv4]", "model.embedding=concat", "evaluation.embedding=concat"]
    assert load(tmp_path, TWO_STREAM, heads).model.embedding == "concat"


def test_an_override_may_replace_all_keys_of_a_section_and_numbers_may_be_zero(tmp_path):
    config = load(tmp_path, TWO_STREAM + "train: {seed: 1, weight_decay: 0.0}", ["train={seed: 0, weight_decay: 00.0}"])
    assert (config.train.seed, config.train.weight_decay) == (0, 0.0)
    assert load(tmp_path, TWO_STREAM, ["evaluation.rerank={weight: 0.5}"]).evaluation.rerank.weight == 0.5


def test_a_byte_order_mark_is_read_over(tmp_path):
    assert load(tmp_path, "\ufeff" + TWO_STREAM) == load(tmp_path, TWO_STREAM)


def test_missing_and_binary_files(tmp_path):
    with pytest.raises(ValueError, match="nothing.yaml: cannot be read"):
        load_config(tmp_path / "nothing.yaml")
    (tmp_path / "image.yaml").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(ValueError, match="image.yaml: cannot be read"):
        load_config(tmp_path / "image.yaml")


@pytest.mark.parametrize("text", ["[" * 600, "{a: " * 600, "- " * 600])
def test_what_is_too_deep_is_refused_in_a_line(tmp_path, text):
    (tmp_path / "run.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"run.yaml: (lists or sections too deep|line \d+: not YAML)"):
        load_config(tmp_path / "run.yaml")
    with pytest.raises(ConfigError, match="override 'train.seed=.*too deep to be read|not YAML"):
        load_config(paths.CONFIGS / "demo.yaml", [f"train.seed={text}"])


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"backbone": "resnet50", "cameras": 6}, "cameras: resnet50 has no vectors of cameras, transreid_vit_s16 and"),
        ({"backbone": "hub:ViTBackbone", "cameras": 6}, "cameras: hub:ViTBackbone has no vectors of cameras"),
        ({"cameras": 2, "camera_names": ["a"]}, "camera_names: expected a name for each of 2 cameras, .* received 'a'"),
        ({"cameras": 2, "camera_names": ["a", "a"]}, "all different, received 'a', 'a'"),
        ({"camera_names": ["a"]}, "camera_names: expected a name for each of 0 cameras"),
        ({"cameras": -1}, "cameras"),
    ],
)
def test_cameras_are_of_a_network_that_has_vectors_of_them(keys, message):
    model = {"embedder": "one_stream", "appearance": {"backbone": "transreid_vit_b16", **keys}}
    with pytest.raises(ConfigError, match=message):
        check({"model": model})
