"""How far the network of every configuration is from its origin, as recorded for seeded weights in tests/golden.

    python benchmarks/parity.py

Each configuration is built as it stands, but with torchvision's form of ResNet50, which the originals use, takes the
seeded weights by their upstream names, and computes the recorded images. A difference is the largest one over the
largest recorded value. The table is Markdown.
"""

import argparse
import os
import runpy
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

from kreid import weights
from kreid.config.loading import load_config
from kreid.layers.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from kreid.models.embedders import build_model
from kreid.models.vit import vit
from kreid.models.vit_origins import ORIGINS, Size

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden"


def difference(actual, expected):
    return float(np.abs(np.asarray(actual) - expected).max() / np.abs(expected).max())


def build(name):
    """Return the model of a configuration with random weights."""
    overrides = ["model.appearance.weights=null"]
    if load_config(ROOT / "configs" / f"{name}.yaml").model.appearance.backbone == "resnet50":
        overrides.append("model.appearance.variant=torchvision")
    return build_model(load_config(ROOT / "configs" / f"{name}.yaml", overrides).model, pretrained=False)


def seeded(file):
    """Return a recording's arrays, its images, and its weights without a classifier's."""
    fill = runpy.run_path(str(GOLDEN / "fill.py"))
    golden = fill["load"](GOLDEN / f"{file}.npz")
    tensors = {key.replace("/", "."): value for key, value in fill["build"](golden).items() if "classifier" not in key}
    return golden, golden["images"].astype("float32"), tensors


def one_stream(name, file):
    """Compare embeddings with torchreid's feature, scaled to length one."""
    golden, images, tensors = seeded(file)
    model = build(name)
    weights.assign(model, tensors)
    feature = golden["out/feature"]
    return difference(model(images)["embedding"], feature / np.linalg.norm(feature, axis=1, keepdims=True))


def layerwise():
    """Compare the averaged maps that the heads start from; the heads themselves have no original that was recorded."""
    golden, images, tensors = seeded("torchreid_resnet50_fc512")
    backbone = build("layerwise").get_layer("appearance")
    weights.assign(backbone, {name: value for name, value in tensors.items() if not name.startswith("fc.")})
    stages = {"conv3": "layer2", "conv4": "layer3", "conv5": "layer4"}
    maps = backbone(images)
    return max(difference(np.mean(maps[k], axis=(1, 2)), golden[f"inter/{v}/mean"]) for k, v in stages.items())


def two_stream():
    """Compare the part stream's maps with OpenPose's; the text's fusion has no original."""
    golden, images, tensors = seeded("openpose_body25")
    part = build("two_stream").get_layer("part")
    weights.assign(part, tensors)
    return difference(part(images)["confidence_2"], golden["out/heatmaps"])


def two_stream_released():
    """Compare embeddings with the authors' network, whose part stream sees other pixels than OpenPose expects."""
    golden, images, tensors = seeded("paper_resnet_cpm")
    model = build("two_stream_released")
    preprocessing = model.get_layer("part").get_layer("preprocessing")
    preprocessing.mean, preprocessing.channel_order = IMAGENET_MEAN, "rgb"
    preprocessing.std = tuple(std / 0.0039 for std in IMAGENET_STD)
    model.get_layer("fusion").set_weights([golden[f"sketch/{name}"] for name in ("h1", "s1", "h2", "s2")])
    prefixes = {"appearance": "app_feat_extractor.", "part": "part_feat_extractor."}
    names = {layer.name: prefix + layer.name for k, prefix in prefixes.items() for layer in model.get_layer(k).layers}
    names |= {"appearance_reduce": "app_feat_extractor.conv2", "part_embed": "part_feat_extractor.pose1"}
    names |= {"part_norm": "part_feat_extractor.bn", "fusion": None}
    weights.assign(model, tensors, names=names)
    return difference(model(images)["embedding"], golden["out/feature"])


def transformer(file, origin, **options):
    """Compare the class token of a narrow Vision Transformer, of which none of the real sizes was recorded here."""
    golden, images, tensors = seeded(file)
    size = Size(heads=2, depth=3, patch=golden["meta"]["patch"])
    model = vit(images.shape[1:], ORIGINS[origin], size, width_divisor=2, **options)
    weights.assign(model, tensors)
    return difference(model(images)["class_token"], golden["out/class_token"])


def clip():
    """Compare CLIP's image tower; a configuration pools the last tokens, for which there is no original."""
    return transformer("vit_clip_narrow_256x128", "clip", projection=48)


ROWS = {
    "two_stream": ("part maps", "OpenPose BODY_25, run by OpenCV", two_stream),
    "two_stream_released": ("embedding", "the authors' released code", two_stream_released),
    "layerwise": ("averaged maps", "torchreid's ResNet50", layerwise),
    "resnet50": ("embedding", "torchreid", lambda: one_stream("resnet50", "torchreid_resnet50_fc512")),
    "resnet50mid": ("embedding", "torchreid", lambda: one_stream("resnet50mid", "torchreid_resnet50mid")),
    "osnet": ("embedding", "torchreid", lambda: one_stream("osnet", "torchreid_osnet_x1_0")),
    "inception_v4": ("embedding", "torchreid", lambda: one_stream("inception_v4", "torchreid_inceptionv4")),
    "clip_vit_b16": ("class token, narrow", "OpenAI's CLIP, open_clip", clip),
    "clip_vit_l14": ("class token, narrow", "OpenAI's CLIP, open_clip", clip),
    "dinov2_vit_b14": (
        "class token, narrow",
        "Meta's DINOv2, registers",
        lambda: transformer("vit_dinov2_reg_narrow", "dinov2_registers", registers=4),
    ),
    "transreid_vit_b16": (
        "class token, narrow",
        "TransReID, stride 12",
        lambda: transformer("vit_transreid_narrow_stride12", "transreid", stride=12),
    ),
    "two_stream_clip": ("streams", "CLIP; OpenPose BODY_25, run by OpenCV", lambda: max(clip(), two_stream())),
}


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    print("| configuration | what | beside | largest difference |\n|---|---|---|---|")
    for name, (what, origin, compare) in ROWS.items():
        print(f"| `{name}` | {what} | {origin} | {compare():.0e} |", flush=True)
        keras.utils.clear_session()


if __name__ == "__main__":
    main()
