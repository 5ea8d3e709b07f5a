"""What may be tried: read as written, checked before anything runs."""

import operator

import pytest
from paths import ROOT

from kreid.config.loading import check
from kreid.config.needs import NEEDS
from kreid.runs import folder
from kreid.tuning import space as tuning_space
from kreid.tuning.space import read_space

BASE = "model: {embedder: one_stream}\n"


def read(tmp_path, text, base=BASE, overrides=()):
    (tmp_path / "space.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "base.yaml").write_text(base, encoding="utf-8")
    return read_space(tmp_path / "space.yaml", tmp_path / "base.yaml", overrides)


def test_values_reach_the_configuration(tmp_path):
    space = read(tmp_path, "model.heads.layers: {choice: [[], [conv4]]}\nloss.margin: {low: 0, high: 1}")
    config = space.config({"model.heads.layers": ["conv4"], "loss.margin": 0.25})
    assert config.model.heads.layers == ("conv4",)
    assert config.loss.margin == 0.25
    assert space.config({}).model.heads.layers == ()
    assert space.combinations() is None


def test_whole_numbers_are_known_by_their_key_not_by_how_they_are_written(tmp_path):
    space = read(
        tmp_path,
        "model.heads.dim: {low: 64.0, high: 192, step: 64}\nloss.head_weight: {low: 1, high: 2, step: 0.5}\n"
        "data.flip: {choice: [0, 1]}",
        overrides=["model.heads.layers=[conv4]"],
    )
    dims, weights, flips = (entry.values() for entry in space.entries.values())
    assert list(dims) == [64, 128, 192]
    assert all(isinstance(dim, int) for dim in dims)
    assert weights == [1, 1.5, 2]
    assert flips == (0, 1)
    assert space.combinations() == 18
    every = list(space.every())
    assert len(every) == 18
    assert {"model.heads.dim": 128, "loss.head_weight": 1.5, "data.flip": 0} in every


def test_the_space_may_give_what_the_configuration_lacks(tmp_path):
    """Nothing would be trained as it stands; with each value of the space something is."""
    untrained = ["loss.triplet_weight=0"]
    weights = "loss.circle_weight: {choice: [0.5, 1]}\n"
    space = read(tmp_path, weights + "loss.circle_scale: {choice: [64, 128]}", overrides=untrained)
    assert space.base().loss.weights() == {"circle": pytest.approx(0.75, abs=0.25)}
    assert {(c.loss.circle_weight > 0, c.loss.circle_scale) for c in space.samples()} == {(True, 64), (True, 128)}
    assert space.config({"loss.circle_weight": 1}).loss.triplet_weight == 0
    assert read(tmp_path, "loss: {choice: [{circle_weight: 1}]}", overrides=untrained).base().loss.circle_weight == 1
    with pytest.raises(ValueError, match=r"configuration .*base.yaml: loss: every weight is 0"):
        read(tmp_path, "data.flip: {choice: [0, 1]}", overrides=untrained)
    with pytest.raises(ValueError, match=r"configuration .*base.yaml: loss.margn: unknown key"):
        read(tmp_path, weights, overrides=[*untrained, "loss.margn=1"])
    with pytest.raises(ValueError, match="every weight is 0"):
        read(tmp_path, "loss.centroid_weight: {choice: [0]}", overrides=untrained)


def test_the_papers_space_fits_its_configuration():
    path = ROOT / "configs" / "spaces" / "layerwise.yaml"
    space = read_space(path, ROOT / "configs" / "layerwise.yaml")
    assert {"model.heads.layers", "model.heads.hidden", "model.heads.dim", "loss.margin"} <= set(space.entries)
    assert "kreid-tune configs/layerwise.yaml" in path.read_text(encoding="utf-8")


def test_values_that_need_each_other_pass_where_some_combination_does(tmp_path):
    decay = "train.weight_decay: {choice: [0, 1e-4]}"
    assert read(tmp_path, decay + "\ntrain.optimizer: {choice: [adam, adamw]}").combinations() == 4
    with pytest.raises(ValueError, match=r"space .*space.yaml: train: .*use optimizer: adamw"):
        read(tmp_path, "train.weight_decay: {low: 1e-5, high: 1e-4}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("loss.margn: {low: 0, high: 1}", "loss.margn: unknown key; did you mean margin?"),
        ("trian.epochs: {choice: [1]}", "trian: unknown key; did you mean train?"),
        ("model.part.arch: {choice: [coco]}", "model.part: unknown key"),
        ("model.heads.layers: {choice: [conv4]}", "model.heads.layers: .*'conv4'"),
        ("loss.mining: {choice: [hard, hardest]}", "loss.mining: .*'semi_hard', received 'hardest'"),
        ("loss.margin: {low: 0, hihg: 1}", "loss.margin.hihg: unknown key; did you mean high?"),
        ("loss.margin: {chioce: [0, 1]}", "loss.margin.chioce: unknown key; did you mean choice?"),
        ("loss.margin: {lwo: 0, hihg: 1}", "loss.margin.lwo: unknown key; did you mean low?"),
        ("loss.margin: {low: 0, high: 1, upto: 2}", "loss.margin.upto: unknown key; known keys: low, high, step, log"),
        (
            "loss.margin: {low: 0, high: 1, choice: [0.3]}",
            "either choices, .* or a range, .* received low, high, choice",
        ),
        ("loss.margin: {choice: [0.3], step: 0.1}", "loss.margin: a key has either choices.* received choice, step"),
        ("loss.margin: {low: 0}", "loss.margin.high: missing; add it"),
        ("loss.margin: {}", "loss.margin: expected {choice: .* or {low: "),
        ("loss.margin: {values: [1, 2]}", "loss.margin: expected {choice: .* or {low: "),
        ("loss.margin: {choice: []}", "loss.margin.choice: .*at least 1"),
        ("loss.margin: {choice: [0.1, 0.1]}", "loss.margin: 0.1 is given twice"),
        ("loss.margin: {low: 1, high: 1}", "loss.margin: low must be below high"),
        ("loss.margin: {low: 0, high: 1, log: true}", "loss.margin: log needs a low above 0 and no step"),
        ("loss.margin: {low: 0, high: 1, step: 0.3}", "loss.margin: high must be low plus a multiple of step"),
        ("loss.margin: {low: -1, high: 1}", "loss.margin: .*greater than or equal to 0"),
        ("loss.margin: {low: yes, high: 1}", "loss.margin.low: .*no truth value"),
        ("model.heads.dim: {low: 0.5, high: 2}", "model.heads.dim.low: .*valid integer"),
        (
            "loss.same_action: {low: 0, high: 1}",
            "loss.same_action: .*valid boolean, received 0.318.*; a range holds .* {choice: ",
        ),
        ("model.appearance.last_stride: {low: 1, high: 2}", "last_stride: .*1 or 2, received 1.318"),
        ("loss.same_action: {low: 0, high: 1, step: 0.5}", "loss.same_action: .*valid boolean.*, received 0.5"),
        ("data.views: {low: 1, high: 4}", "data.views: .*greater than or equal to 2, received 1"),
        ("loss.margin.x: {choice: [1]}", "loss.margin: .*received {'x': 1}"),
        ("loss: {margin: {low: 0, high: 1}}", "loss: expected {choice: .* after a dotted key"),
        ("loss.margin: 3", "loss.margin: expected {choice: "),
        ("train.seed: {choice: [1, 2]}", "train.seed: trials are compared under one value of it"),
        ("train: {choice: [{seed: 1}, {seed: 2}]}", "train.seed: trials are compared under one value of it"),
        ("evaluation.flip: {choice: [true, false]}", "evaluation.flip: no trial's score depends on it; leave it out"),
        ("evaluation: {choice: [{crops: 1}, {crops: 2}]}", "evaluation: no trial's score depends on it"),
        ("model.num_classes: {low: 1, high: 9}", "model.num_classes: no trial's score depends on it"),
        ("train: {choice: [{epochs: 1}, {epochs: 2, keep: 1}]}", "train.keep: no trial's score depends on it"),
        ("loss.temperature: {low: 0.1, high: 1}", "temperature: .* without loss.info_nce_weight; set that"),
        ("loss.margin: {low: 0, high: 1}\nloss.margin: {low: 0, high: 1}", "line 2: key 'loss.margin' is given twice"),
        ("- loss.margin", "expected keys such as `loss.margin: .*received list"),
        ("{}", "no keys, expected such as `loss.margin"),
    ],
)
def test_mistakes_name_the_key(tmp_path, text, message):
    with pytest.raises(ValueError, match=message) as error:
        read(tmp_path, text)
    assert str(error.value).startswith(f"space {tmp_path / 'space.yaml'}")
    assert "\n" not in str(error.value)


def test_the_keys_that_are_spoken_of_exist():
    config = check({"model": {"embedder": "two_stream"}})
    needs = [need.partition("=")[0] for several in NEEDS.values() for need in several]
    for key in [*tuning_space.FIXED, *tuning_space.IDLE, *NEEDS, *needs]:
        operator.attrgetter(key)(config)


def test_what_resuming_may_change_is_not_searched(tmp_path):
    """The weights would be the same, so the scores too."""
    for name in folder._MAY_CHANGE:
        with pytest.raises(ValueError, match=f"train.{name}: (no trial's score depends|trials are compared under one)"):
            read(tmp_path, f"train.{name}: {{low: 1, high: 2, step: 1}}")


@pytest.mark.parametrize(
    ("key", "values", "off", "other"),
    [
        ("data.erase_aspect", "[0.3, 0.5]", ["data.erase=0"], "data.erase: {choice: [0, 1]}"),
        (
            "loss.margin",
            "[0.3, soft]",
            ["loss.triplet_weight=0", "loss.circle_weight=1"],
            "loss.centroid_weight: {low: 0, high: 1}",
        ),
        ("loss.circle_scale", "[64, 128]", ["loss.circle_weight=0"], "loss.circle_weight: {choice: [0, 1]}"),
        (
            "loss.same_action",
            "[true, false]",
            ["loss.triplet_weight=0", "loss.identity_weight=1"],
            "loss.circle_weight: {choice: [1]}",
        ),
        ("loss.label_smoothing", "[0, 0.1]", ["loss.identity_weight=0"], "loss.identity_weight: {choice: [0, 1]}"),
        ("model.heads.hidden", "[[], [8]]", ["model.heads.layers=[]"], "model.heads.layers: {choice: [[], [conv4]]}"),
        ("model.heads.dim", "[8, 9]", ["model.heads.layers=[]"], "model.heads: {choice: [{layers: [conv4]}, {}]}"),
        ("train.decay", "[0.1, 0.5]", ["train.schedule=cosine"], "train.schedule: {choice: [cosine, step]}"),
        (
            "model.bilinear.output_dim",
            "[8, 9]",
            ["model.bilinear.mode=full"],
            "model.bilinear.mode: {choice: [compact]}",
        ),
    ],
)
def test_a_key_is_searched_only_where_a_score_may_depend_on_it(tmp_path, key, values, off, other):
    base, text = "model: {embedder: two_stream, heads: {layers: [conv4]}}\n", f"{key}: {{choice: {values}}}\n"
    with pytest.raises(ValueError, match=rf"{key}: no trial's score depends on it without .*; set that"):
        read(tmp_path, text, base, off)
    assert key in read(tmp_path, text + other, base, off).entries
    on = {"data.erase=0": ["data.erase=0.5"], "loss.identity_weight=0": ["loss.identity_weight=1"]}
    on["loss.circle_weight=0"] = ["loss.circle_weight=1"]
    assert key in read(tmp_path, text, base, on.get(off[0], ())).entries


def test_mistakes_in_the_configuration_are_told_from_those_in_the_space(tmp_path):
    with pytest.raises(ValueError, match=r"^configuration .*base.yaml: train.epochs: .*received 0"):
        read(tmp_path, "loss.margin: {low: 0, high: 1}", overrides=["train.epochs=0"])
