"""The models of the paper: short compositions over the feature maps of backbones.

Every model maps `(N, H, W, 3)` RGB 0-255, or these and their cameras (`kreid.models.inputs`), to a dict: `embedding`,
the unit vector that is ranked; one unit vector for each layer-wise head, under the name of its layer; `logits` where
there are classes. Where what is ranked is not what the triplet loss trains (a batch-norm neck, concatenated heads), the
trained vector is there as `final`.
"""

import itertools
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import keras
from keras import layers

from kreid import weights
from kreid.errors import ConfigError, received
from kreid.layers.bilinear import BilinearPooling, CompactBilinearPooling
from kreid.layers.normalization import L2Normalization
from kreid.layers.pooling import GeneralizedMeanPooling2D
from kreid.models import build_backbone, files
from kreid.models.inputs import CAMERA, IMAGE
from kreid.types import Tensor

if TYPE_CHECKING:
    from kreid.config.network import Appearance, Bilinear, Heads, OneStream, Part, TwoStream

log = logging.getLogger("kreid")

BACKBONE_OPTIONS = (
    "last_stride",
    "variant",
    "registers",
    "stride",
    "camera_names",
    "drop_path",
)  # of some backbones; null leaves them out


def build_model(config: "TwoStream | OneStream", pretrained: bool = True) -> keras.Model:
    """Build the model that the `model` section of a configuration describes.

    Args:
        config: `kreid.config.TwoStream` or `OneStream`, usually `load_config(path).model`.
        pretrained: load the weights that the configuration names; `False` where others follow, as from a run folder.

    Returns:
        A plain `keras.Model`; see the module for its outputs.

    Raises:
        ValueError: for a map, option or weight file that does not exist or does not fit, naming the key.

    Example:
        >>> config = kreid.load_config("demo")
        >>> model = kreid.build_model(config.model)
        >>> vectors = model(np.zeros((2, *config.model.image_size, 3)))["embedding"]
        >>> np.linalg.norm(vectors, axis=1).round(3).tolist()
        [1.0, 1.0]
    """
    check_section(config)
    inputs = {IMAGE: keras.Input((*config.image_size, 3), name=IMAGE)}
    if config.appearance.cameras:
        inputs[CAMERA] = keras.Input((), dtype="int32", name=CAMERA)
    # === Functional model ===
    if config.embedder == "two_stream":
        maps, feature = _two_stream(config, inputs, pretrained)
    else:
        maps, feature = _one_stream(config, inputs, pretrained)
    plain = config.embedding == "final" and not config.neck
    trained = "embedding" if plain else "final"
    outputs = {trained: _unit(trained, feature)}
    for name in config.heads.layers:
        outputs[name] = _head(config.heads, name, maps[name])
    if config.neck:
        feature = layers.BatchNormalization(center=False, momentum=0.9, epsilon=1e-5, name="neck")(feature)
    for name, classes in config.classifiers().items():
        outputs[name] = layers.Dense(classes, dtype="float32", name=name)(feature)
    if config.embedding == "concat":
        vectors = [outputs[name] for name in ("final", *config.heads.layers)]
        feature = layers.Concatenate(dtype="float32", name="concat")(vectors) if len(vectors) > 1 else vectors[0]
    if not plain:
        outputs["embedding"] = _unit("embedding", feature)
    model = keras.Model(inputs if CAMERA in inputs else inputs[IMAGE], outputs, name=config.embedder)
    if pretrained and config.appearance.loads_by_name:
        _load_fc(model, str(config.appearance.weights))
    return model


def check_section(section: object) -> None:
    """Raise ConfigError unless this is the model section of a configuration, whose classes are not imported here."""
    if getattr(section, "embedder", None) not in ("two_stream", "one_stream"):
        raise ConfigError(
            f"config: expected the model section of a configuration, received {received(section)}; give such as "
            "kreid.load_config('demo').model"
        )


def layer_wise_heads(model: keras.Model) -> tuple[str, ...]:
    """Names of the outputs of a model's layer-wise heads."""
    return tuple(name for name in model.output if name not in ("embedding", "final") and not name.endswith("logits"))


def _two_stream(config: "TwoStream", inputs: dict[str, Tensor], pretrained: bool) -> tuple[dict[str, Tensor], Tensor]:
    """Appearance and part stream, one grid, bilinear pooling (paper Fig. 2)."""
    maps = _maps(config, inputs, pretrained)
    appearance = _appearance(config.appearance, maps)
    parts = _part_stream(config.part, config.image_size, pretrained)(inputs[IMAGE])
    parts = [parts[name] for name in _fused_parts(config.part)]
    part = layers.Concatenate(name="part_concat")(parts) if len(parts) > 1 else parts[0]
    part = _align(part, appearance, config.align)
    if config.part.embed_dim:
        part = layers.Conv2D(config.part.embed_dim, 3, padding="same", name="part_embed")(part)
        part = layers.BatchNormalization(center=False, scale=False, momentum=0.9, epsilon=1e-5, name="part_norm")(part)
    fusion = _fusion(config.bilinear)
    pairs = zip(_stripes(config, appearance, "appearance"), _stripes(config, part, "part"), strict=True)
    return maps, _joined([fusion(pair) for pair in pairs])


def _fusion(config: "Bilinear") -> BilinearPooling:
    """Multiply two maps; the layer that follows normalises, since the identity classifier wants the vector before."""
    if config.mode == "full":
        return BilinearPooling(
            pool=config.pool, signed_sqrt=config.signed_sqrt, normalize=False, dtype="float32", name="fusion"
        )
    return CompactBilinearPooling(
        config.output_dim,
        seed=config.seed,
        pool=config.pool,
        signed_sqrt=config.signed_sqrt,
        normalize=False,
        dtype="float32",
        name="fusion",
    )


def _one_stream(config: "OneStream", inputs: dict[str, Tensor], pretrained: bool) -> tuple[dict[str, Tensor], Tensor]:
    """One backbone, pooled over places; torchreid's fully connected layers and mid-level fusion on request."""
    maps = _maps(config, inputs, pretrained)
    feature = _pooled(config, maps)
    if config.mid:
        pooled = [layers.GlobalAveragePooling2D(name=f"mid_pool_{name}")(maps[name]) for name in config.mid.layers]
        joined = layers.Concatenate(name="mid_concat")(pooled) if len(pooled) > 1 else pooled[0]
        feature = layers.Concatenate(name="mid")([_fc(joined, config.mid.dim, "fc_fusion", 0), feature])
    for number, units in enumerate(config.fc):
        feature = _fc(feature, units, "fc", 3 * number)
    return maps, feature


def _maps(config: "TwoStream | OneStream", inputs: dict[str, Tensor], pretrained: bool) -> dict[str, Tensor]:
    """The outputs of the appearance stream, its vectors, such as a class token, as maps of one place."""
    stream = _appearance_stream(config, pretrained)
    outputs = stream([*inputs.values()] if CAMERA in inputs else inputs[IMAGE])
    return {
        name: layers.Reshape((1, 1, x.shape[-1]), name=f"{name}_map")(x) if len(x.shape) == 2 else x
        for name, x in outputs.items()
    }


def _pooled(config: "OneStream", maps: dict[str, Tensor]) -> Tensor:
    """One vector: a map pooled over places, the class token, or the one behind the other."""
    if config.pooling == "class_token":
        return layers.GlobalAveragePooling2D(name="pool")(maps["class_token"])
    pooling = GeneralizedMeanPooling2D if config.pooling == "gem" else layers.GlobalAveragePooling2D
    pool = pooling(name="pool")
    feature = _joined([pool(stripe) for stripe in _stripes(config, _appearance(config.appearance, maps), "appearance")])
    if config.pooling != "concat":
        return feature
    token = layers.GlobalAveragePooling2D(name="token_pool")(maps["class_token"])
    return layers.Concatenate(name="pool_concat")([token, feature])


def _stripes(config: "TwoStream | OneStream", feature_map: Tensor, stream: str) -> list[Tensor]:
    """The horizontal stripes of a map, from the top down, as equally high as its rows allow."""
    count, height = config.stripes, feature_map.shape[1]
    if count == 1:
        return [feature_map]
    if count > height:
        raise ConfigError(
            f"model.stripes: the {stream} map is {height} rows high, which is too few for {count} stripes; take fewer, "
            "or a map nearer the image"
        )
    edges = [number * height // count for number in range(count + 1)]
    return [
        layers.Cropping2D(((top, height - bottom), (0, 0)), name=f"{stream}_stripe_{number}")(feature_map)
        for number, (top, bottom) in enumerate(itertools.pairwise(edges), start=1)
    ]


def _joined(vectors: list[Tensor]) -> Tensor:
    return layers.Concatenate(dtype="float32", name="stripes")(vectors) if len(vectors) > 1 else vectors[0]


def _appearance_stream(config: "TwoStream | OneStream", pretrained: bool) -> keras.Model:
    """The backbone, as far as the maps that are used need it."""
    stream = config.appearance
    keys = dict.fromkeys(config.heads.layers, "model.heads.layers")
    keys |= dict.fromkeys(getattr(getattr(config, "mid", None), "layers", ()), "model.mid.layers")
    pooling = getattr(config, "pooling", None)
    if pooling in ("class_token", "concat"):
        keys["class_token"] = "model.pooling"
    if pooling != "class_token":
        keys[stream.layer] = "model.appearance.layer"
    options = {key: value for key in BACKBONE_OPTIONS if (value := getattr(stream, key)) is not None}
    options["width_divisor"] = stream.width_divisor
    if stream.cameras:
        options["cameras"] = stream.cameras
    if stream.from_hub:
        options |= {"arguments": stream.arguments, "preset": stream.preset, "maps": tuple(keys)}
    if pretrained and stream.weights is not None and not stream.loads_by_name:
        options["weights"] = stream.weights
    backbone = build_backbone(stream.backbone, (*config.image_size, 3), **options)
    if pretrained and stream.loads_by_name:
        _load(backbone, str(stream.weights), "model.appearance.weights")
    elif pretrained and stream.weights is None:
        log.warning("appearance stream: random weights (model.appearance.weights is null)")
    return _trim(backbone, keys, "appearance")


def _part_stream(config: "Part", image_size: tuple[int, int], pretrained: bool) -> keras.Model:
    """OpenPose, as far as the maps that are fused need it."""
    if config.arch == "body_25":
        stages = {"paf_stages": config.paf_stages, "confidence_stages": config.confidence_stages}
    else:
        stages = {"stages": config.paf_stages}
    name = f"openpose_{config.arch}"
    backbone = build_backbone(name, (*image_size, 3), width_divisor=config.width_divisor, **stages)
    if pretrained and config.weights:
        _load(backbone, config.weights, "model.part.weights")
    elif pretrained:
        log.warning("part stream: random weights, not OpenPose's; give model.part.weights to start from a pose network")
    return _trim(backbone, dict.fromkeys(_fused_parts(config), "model.part.features"), "part")


def _fused_parts(config: "Part") -> list[str]:
    """Names of the maps of the part stream that are fused, in order: last confidence, or [PAF, confidence, trunk]."""
    paf, confidence = f"paf_{config.paf_stages}", f"confidence_{config.confidence_stages}"
    fused = {"confidence": [confidence], "confidence+paf": [paf, confidence], "concat": [paf, confidence, "feature"]}
    return fused[config.features]


def _trim(backbone: keras.Model, keys: dict[str, str], name: str) -> keras.Model:
    """The backbone as far as the maps in `keys` need it, so that no layer computes what nothing uses.

    Maps on the way to those stay outputs as well: they cost nothing, and `kreid.look` shows them.
    """
    for wanted, key in keys.items():
        if wanted not in backbone.output:
            raise ConfigError(f"{key}: {backbone.name} has no map {wanted!r}; it has {', '.join(backbone.output)}")
    used = {layer.name for layer in keras.Model(backbone.input, [backbone.output[wanted] for wanted in keys]).layers}
    maps = {key: value for key, value in backbone.output.items() if _is_free(value, used)}
    return keras.Model(backbone.input, maps, name=name)


def _is_free(value: Tensor, used: set[str]) -> bool:
    """Whether a map needs no layer of weights beyond those in use: a Transformer's tokens are only laid out as one."""
    layer = value._keras_history.operation
    if layer.name in used:
        return True
    return not layer.weights and all(_is_free(tensor, used) for tensor in keras.tree.flatten(layer.input))


def _load(backbone: keras.Model, path: str, key: str) -> None:
    """Load a weight file by upstream layer names; the complaint opens with the configuration's key."""
    if not Path(path).is_file():
        raise ConfigError(f"{key}: {path}: no such file")
    try:
        files.load(backbone, path)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


def _load_fc(model: keras.Model, path: str) -> None:
    """Load torchreid's fully connected layers too, where the appearance stream's file has them in the same size."""
    own = [layer.name for layer in model.layers if layer.name.startswith(("fc.", "fc_fusion."))]
    tensors = {name: value for name, value in weights.read(path).items() if name.rpartition(".")[0] in own}
    if not tensors:
        return
    try:
        report = weights.assign(model, tensors, names=lambda layer: layer if layer in own else None, strict=False)
    except ValueError as error:
        raise ValueError(f"model.appearance.weights: {path}: {error}") from None
    log.info("%s: fully connected layers: %s", path, report)


def _appearance(config: "Appearance", maps: dict[str, Tensor]) -> Tensor:
    appearance = maps[config.layer]
    if config.reduce_dim:
        reduce = layers.Conv2D(
            config.reduce_dim, config.reduce_kernel, padding="same", use_bias=False, name="appearance_reduce"
        )
        appearance = reduce(appearance)
    return appearance


def _align(part: Tensor, appearance: Tensor, method: str) -> Tensor:
    """Pool the part map (stride 8) onto the appearance map's grid (stride 16 or 32)."""
    factor = round(part.shape[1] / appearance.shape[1])
    pooling = {"average": layers.AveragePooling2D, "max": layers.MaxPooling2D}[method]
    aligned = pooling(factor, padding="same", name="align")(part) if factor > 1 else part
    if aligned.shape[1:3] != appearance.shape[1:3]:
        if factor < 1 or part.shape[1] < appearance.shape[1]:
            raise ConfigError(
                f"model.appearance.layer: its map {appearance.shape[1:3]} is finer than the part map "
                f"{part.shape[1:3]}; choose a deeper layer"
            )
        raise ConfigError(
            f"model.image_size: the part map {part.shape[1:3]} cannot be pooled onto the appearance map "
            f"{appearance.shape[1:3]}; use a height and width that are multiples of 32, and patches of 16 or 32"
        )
    return aligned


def _head(config: "Heads", name: str, feature_map: Tensor) -> Tensor:
    x = layers.GlobalAveragePooling2D(name=f"{name}_pool")(feature_map)
    for number, units in enumerate(config.hidden, start=1):
        x = layers.Dense(units, activation="relu", name=f"{name}_fc{number}")(x)
    return _unit(f"{name}_embedding", layers.Dense(config.dim, name=f"{name}_out")(x))


def _fc(x: Tensor, units: int, name: str, index: int) -> Tensor:
    """Linear, batch norm, ReLU, under torchreid's names `fc.0`, `fc.1`."""
    x = layers.Dense(units, name=f"{name}.{index}")(x)
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}.{index + 1}")(x)
    return layers.ReLU(name=f"{name}.{index + 2}")(x)


def _unit(name: str, x: Tensor) -> Tensor:
    return L2Normalization(dtype="float32", name=name)(x)
