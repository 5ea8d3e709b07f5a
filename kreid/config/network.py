"""The section `model` of a configuration: the network, with type, range, default and meaning of every key."""

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from kreid.config.values import Integer, Number, Pixels, Positive, Section, Seed, Width
from kreid.losses.table import CLASSIFIERS


def patch_of(backbone: Any) -> int | None:
    """Pixels of the patches that a Vision Transformer's name ends with; None of another backbone."""
    found = re.search(r"^(?!hub:).*vit_[sbl](\d+)$", backbone) if isinstance(backbone, str) else None
    return int(found[1]) if found else None


def _with_exponents(value: Any) -> Any:
    """Numbers such as 1e-6, which YAML 1.1 reads as text, in whatever is no key of ours."""
    if isinstance(value, dict):
        return {key: _with_exponents(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_exponents(item) for item in value]
    number = isinstance(value, str) and re.fullmatch(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+", value)
    return float(value) if number else value


def _is_hub_class(backbone: str) -> bool:
    """Whether a name is of a class of KerasHub, not of a preset."""
    source = backbone.removeprefix("hub:")
    return source.isidentifier() and source.endswith("Backbone")


class Appearance(Section):
    """The appearance stream, or the only backbone of a one-stream model."""

    backbone: str = "resnet50"
    """Name of the network, one of `kreid.models.BACKBONES`, or of KerasHub's: `hub:` and a class, a preset or the
    folder of one, such as `hub:ViTBackbone`, `hub:resnet_50_imagenet`, `hub:./folder`."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Of `hub:` alone: arguments of KerasHub's class, such as `{patch_size: 16}`; beside a preset, those that differ
    from it."""
    preset: dict[str, Any] | None = None
    """Of `hub:` alone: what the preset says of its class, arguments and scaling of images, set by training, so that
    the run needs the preset no more; null: read there."""
    weights: str | None = "imagenet"
    """What it starts from: `imagenet` (fetched by Keras, `resnet50` only), `preset` (of `hub:`, with a preset the
    default), a file of any form that `kreid-weights inspect` knows (of `hub:`, one that the class saved), or null:
    random values (the default of a class of `hub:`)."""
    layer: str = "conv5"
    """Which of its maps is used; `last` of a Vision Transformer and of `hub:` by default."""
    last_stride: Literal[1, 2] | None = None
    """Of ResNet50 alone: stride of the last stage; 1 keeps its map twice as fine. null: the backbone's own."""
    variant: Literal["keras", "torchvision", "augreg", "deit", "quick_gelu", "gelu"] | None = None
    """Where backbones of one name differ: `keras` or `torchvision` of ResNet50; how a file was trained, `augreg` or
    `deit` of `vit_*`, `quick_gelu` or `gelu` (LAION-2B's, DataComp's) of `clip_vit_*`. null: the backbone's own."""
    registers: Literal[0, 4] | None = None
    """Of `dinov2_vit_*` alone: how many register tokens. null: the backbone's own."""
    stride: Literal[12, 16] | None = None
    """Of `transreid_vit_*` alone: pixels from patch to patch. null: the backbone's own."""
    cameras: Annotated[Integer, Field(ge=0, le=2**14)] = 0
    """Of `transreid_vit_*` alone: cameras that the network learns a vector for. It then asks for the camera of every
    image, which records of Market-1501, of folders, of sequences or of a CSV file tell. 0: it takes images alone."""
    camera_names: tuple[str, ...] | None = None
    """Names of those cameras as the records have them, in the order of their vectors, set by training. Needed only for
    the vectors of a file, untrained: `[c1, c2, c3, c4, c5, c6]` of Market-1501. null: those of the training images."""
    drop_path: Annotated[Number, Field(ge=0, lt=1)] | None = None
    """Of Vision Transformers alone: probability, while they learn, that an image passes by what the last block adds;
    less at earlier blocks, evenly down to 0 at the first. null: 0."""
    width_divisor: Positive = 1
    """Divides the channels of every layer; 1 is the real network, which alone published weights fit."""
    reduce_dim: Width | None = None
    """Adds a convolution without bias behind the map, to so many channels; null: none."""
    reduce_kernel: Pixels = 7
    """Height and width of that convolution, in places of the map."""

    @model_validator(mode="before")
    @classmethod
    def _last_tokens(cls, values: Any) -> Any:
        backbone = values.get("backbone") if isinstance(values, dict) else None
        if patch_of(backbone):
            return {"layer": "last", **values}
        if isinstance(backbone, str) and backbone.startswith("hub:"):
            return {"layer": "last", "weights": None if _is_hub_class(backbone) else "preset", **values}
        return values

    @field_validator("arguments", mode="before")
    @classmethod
    def _numbers(cls, value: Any) -> Any:
        return _with_exponents(value)

    @model_validator(mode="after")
    def _hub_keys_are_of_hub(self) -> "Appearance":
        if not self.from_hub and (self.arguments or self.preset is not None):
            raise ValueError("arguments and preset are of a backbone hub:... alone; leave them out")
        if self.weights == "preset" and (not self.from_hub or _is_hub_class(self.backbone)):
            raise ValueError(f"weights: {self.backbone} is no preset of KerasHub; give a file or null")
        if self.from_hub and self.weights == "imagenet":
            raise ValueError("weights: expected preset, a file or null of a backbone hub:..., received imagenet")
        return self

    @model_validator(mode="after")
    def _cameras_have_vectors(self) -> "Appearance":
        names = self.camera_names
        if self.cameras and not self.backbone.startswith("transreid_vit_"):
            raise ValueError(
                f"cameras: {self.backbone} has no vectors of cameras, transreid_vit_s16 and transreid_vit_b16 have; "
                "leave it out"
            )
        if names is not None and (len(names) != self.cameras or len(set(names)) < len(names) or "" in names):
            raise ValueError(
                f"camera_names: expected a name for each of {self.cameras} cameras, all different, received "
                f"{', '.join(map(repr, names)) or 'none'}"
            )
        return self

    @property
    def from_hub(self) -> bool:
        """Whether the backbone is one of KerasHub's."""
        return self.backbone.startswith("hub:")

    @property
    def loads_by_name(self) -> bool:
        """Whether it starts from a file whose tensors are told by name, not by what the backbone itself loads."""
        return self.weights not in (None, "imagenet") and not self.from_hub


class Part(Section):
    """The part stream: a sub-network of OpenPose (paper II.B)."""

    arch: Literal["body_25", "coco"] = "body_25"
    """Which OpenPose: that of 25 key points or that of 18."""
    weights: str | None = None
    """What it starts from: a file, such as `pose_iter_584000.caffemodel`; null: random values."""
    paf_stages: Annotated[Integer, Field(ge=1, le=6)] = 4
    """Stages that compute part affinity fields; at most 4 of `body_25`, and 6 by default of `coco`."""
    confidence_stages: Annotated[Integer, Field(ge=1, le=6)] = 2
    """Stages that compute confidence maps; at most 2 of `body_25`, and as many as `paf_stages` of `coco`."""
    features: Literal["confidence", "confidence+paf", "concat"] = "confidence"
    """Which maps are fused: the last `confidence` map, both kinds (`confidence+paf`), or `concat`, which is [PAF,
    confidence, trunk feature]."""
    embed_dim: Width | None = None
    """Adds a 3x3 convolution to so many channels and a batch normalisation behind the maps; null: none."""
    width_divisor: Positive = 1
    """Divides the channels of every layer; 1 is the real network, which alone published weights fit."""

    @model_validator(mode="before")
    @classmethod
    def _all_stages(cls, values: Any) -> Any:
        if not isinstance(values, dict) or values.get("arch") != "coco":
            return values
        return {"paf_stages": 6, "confidence_stages": 6, **values}

    @model_validator(mode="after")
    def _stages_exist(self) -> "Part":
        if self.arch == "body_25" and (self.paf_stages > 4 or self.confidence_stages > 2):
            raise ValueError("body_25 has at most 4 paf_stages and 2 confidence_stages")
        if self.arch == "coco" and self.paf_stages != self.confidence_stages:
            raise ValueError("coco computes both maps in every stage: paf_stages and confidence_stages must be equal")
        return self


class Bilinear(Section):
    """How the two streams are fused (paper II.C)."""

    mode: Literal["compact", "full"] = "compact"
    """`compact`: the tensor sketch of the outer product; `full`: the outer product itself."""
    output_dim: Width = 8192
    """Length of the sketch, which is that of the embedding; unused by `full`."""
    seed: Seed = 0
    """Of the hashes that make the sketch."""
    pool: Literal["mean", "sum"] = "mean"
    """What the places of the map are put together by."""
    signed_sqrt: bool = False
    """Take the square root of every number of the vector, its sign kept, before the vector is made as long as one."""


class Heads(Section):
    """Layer-wise heads (paper II.D): map -> average over places -> Dense `hidden`, ReLU -> Dense `dim` -> L2."""

    layers: tuple[str, ...] = ()
    """Maps of the appearance stream that get a head and the losses, such as `[conv3, conv4, conv5]`."""
    hidden: tuple[Width, ...] = (512,)
    """Units of each fully connected layer between map and vector."""
    dim: Width = 256
    """Length of a head's vector."""


class Mid(Section):
    """Mid-level fusion of ResNet50-mid: lower maps averaged, joined, through `dim` units, beside the last map."""

    layers: tuple[str, ...]
    """Maps that are joined, such as `[conv5_1, conv5_2]`."""
    dim: Width = 1024
    """Units that they go through."""


class Model(Section):
    """What every embedder has."""

    image_size: tuple[Pixels, Pixels] = (256, 128)
    """Height and width in pixels that every image is resized to."""
    heads: Heads = Heads()
    """Layer-wise heads."""
    stripes: Positive = 1
    """Horizontal stripes that the map is divided into, each pooled, or fused and pooled, for itself; their vectors are
    joined (Sun et al. 2018). 1: the whole map."""
    neck: bool = False
    """Put a batch normalisation between the vector that the losses see and the one that is ranked by and classified."""
    num_classes: Positive | None = None
    """Outputs of the identity classifier, set by training where `loss.identity_weight` is not 0; null: none."""
    num_roles: Positive | None = None
    """Outputs of a classifier of roles, which takes no part in ranking; set by training where `loss.role_weight` is not
    0; null: none."""
    num_jerseys: Positive | None = None
    """Outputs of a classifier of jersey numbers, likewise, where `loss.jersey_weight` is not 0; null: none."""
    embedding: Literal["final", "concat"] = "final"
    """What is ranked by: the `final` embedding, or `concat`: it and all layer-wise heads together."""

    def classifiers(self) -> dict[str, int]:
        """Output -> number of classes of the classifiers that there are."""
        return {output: classes for output, key in CLASSIFIERS.items() if (classes := getattr(self, key))}


class TwoStream(Model):
    """Appearance and part stream, fused by bilinear pooling (paper Fig. 2)."""

    embedder: Literal["two_stream"]
    """Appearance and part stream, fused by bilinear pooling (paper Fig. 2)."""
    appearance: Appearance = Appearance()
    """The appearance stream."""
    part: Part = Field(default_factory=Part)
    """The part stream."""
    align: Literal["average", "max"] = "average"
    """How part maps, which are finer, come onto the appearance stream's grid: by the mean or the largest of a cell."""
    bilinear: Bilinear = Bilinear()
    """The fusion."""


class OneStream(Model):
    """One backbone, pooled over places, optionally through fully connected layers or mid-level fusion."""

    embedder: Literal["one_stream"]
    """One backbone, pooled over places, optionally through fully connected layers or mid-level fusion."""
    appearance: Appearance = Appearance()
    """The backbone."""
    pooling: Literal["mean", "gem", "class_token", "concat"] = "mean"
    """What makes one vector of the map `appearance.layer`: its `mean`, its generalised mean (`gem`), the `class_token`
    of a Vision Transformer in its place, or both (`concat`: class token, then mean)."""
    fc: tuple[Width, ...] = ()
    """Units of fully connected layers behind the pooling; none by default."""
    mid: Mid | None = None
    """Mid-level fusion; null: none."""
