"""The sections of a configuration: every key with its type, range, default and meaning."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from kreid.losses.table import LOSSES, Output


def _no_truth_value(value: Any) -> Any:
    # YAML reads yes, no, on and off as truth values, which would pass for 1 and 0.
    if isinstance(value, bool):
        raise ValueError("input should be no truth value (YAML reads yes, no, on and off as such)")
    return value


def _least_first(values: tuple[float, float]) -> tuple[float, float]:
    if values[0] > values[1]:
        raise ValueError("input should be the least, then the most")
    return values


Integer = Annotated[int, BeforeValidator(_no_truth_value)]
Number = Annotated[float, BeforeValidator(_no_truth_value)]
# TensorFlow counts in 32 bits or 64, and memory ends long before: what is larger is a slip of the finger.
Positive = Annotated[Integer, Field(gt=0, lt=2**31)]
Count = Annotated[Integer, Field(ge=0, lt=2**31)]
Width = Annotated[Integer, Field(gt=0, le=2**20)]  # numbers of a vector: the largest is 4 MB an image
Pixels = Annotated[Integer, Field(gt=0, le=2**14)]
Share = Annotated[Number, Field(gt=0, le=1)]
ShareRange = Annotated[tuple[Share, Share], AfterValidator(_least_first)]
Weight = Annotated[Number, Field(ge=0)]
Seed = Annotated[Integer, Field(ge=0, lt=2**32)]
Probability = Annotated[Number, Field(ge=0, le=1)]


def _patch_of(backbone: Any) -> int | None:
    """Pixels of the patches that a Vision Transformer's name ends with; None of another backbone."""
    found = re.search(r"vit_[sbl](\d+)$", backbone) if isinstance(backbone, str) else None
    return int(found[1]) if found else None


class Section(BaseModel):
    """A part of the configuration: unknown keys are errors, values cannot be changed in place."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


class Appearance(Section):
    """The appearance stream, or the only backbone of a one-stream model.

    `weights` is `imagenet` (fetched by Keras, `resnet50` only), a file that `kreid.weights.read` knows, or null.
    `reduce_dim` adds a convolution of `reduce_kernel` pixels without bias behind the map `layer`, which is `last` of a
    Vision Transformer by default. Of some backbones alone: `last_stride` and `variant` of ResNet50, `variant` of
    `vit_*` (`augreg` or `deit`: how its file was trained), `registers` of `dinov2_vit_*`, `stride` of
    `transreid_vit_*`, whose `cameras` are 0, since the records hold none.
    """

    backbone: str = "resnet50"
    weights: str | None = "imagenet"
    layer: str = "conv5"
    last_stride: Literal[1, 2] | None = None
    variant: Literal["keras", "torchvision", "augreg", "deit"] | None = None
    registers: Literal[0, 4] | None = None
    stride: Literal[12, 16] | None = None
    cameras: Literal[0] = 0
    width_divisor: Positive = 1
    reduce_dim: Width | None = None
    reduce_kernel: Pixels = 7

    @model_validator(mode="before")
    @classmethod
    def _last_tokens(cls, values: Any) -> Any:
        if isinstance(values, dict) and _patch_of(values.get("backbone")):
            return {"layer": "last", **values}
        return values


class Part(Section):
    """The part stream: a sub-network of OpenPose (paper II.B).

    `features` says which maps are fused: the last `confidence` map, `confidence+paf`, or `concat`, which is
    [PAF, confidence, trunk feature]. `embed_dim` adds a 3x3 convolution and a batch normalisation behind them.
    Every stage of the network by default: 4 and 2 for `body_25`, 6 and 6 for `coco`.
    """

    arch: Literal["body_25", "coco"] = "body_25"
    weights: str | None = None
    paf_stages: Annotated[Integer, Field(ge=1, le=6)] = 4
    confidence_stages: Annotated[Integer, Field(ge=1, le=6)] = 2
    features: Literal["confidence", "confidence+paf", "concat"] = "confidence"
    embed_dim: Width | None = None
    width_divisor: Positive = 1

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
    """How the two streams are fused (paper II.C): tensor sketch (`compact`) or outer product (`full`)."""

    mode: Literal["compact", "full"] = "compact"
    output_dim: Width = 8192
    seed: Seed = 0
    pool: Literal["mean", "sum"] = "mean"
    signed_sqrt: bool = False


class Heads(Section):
    """Layer-wise heads (paper II.D): map -> average over places -> Dense `hidden`, ReLU -> Dense `dim` -> L2."""

    layers: tuple[str, ...] = ()
    hidden: tuple[Width, ...] = (512,)
    dim: Width = 256


class Mid(Section):
    """Mid-level fusion of ResNet50-mid: `layers` averaged, joined, through `dim` units, beside the last map."""

    layers: tuple[str, ...]
    dim: Width = 1024


class Model(Section):
    """What every embedder has: image size (height, width in pixels), heads, identity classifier, ranked embedding.

    `num_classes` is set by training where the identity loss has a weight. `embedding: concat` ranks by the final
    embedding and all layer-wise heads together.
    """

    image_size: tuple[Pixels, Pixels] = (256, 128)
    heads: Heads = Heads()
    neck: bool = False
    num_classes: Positive | None = None
    embedding: Literal["final", "concat"] = "final"


class TwoStream(Model):
    """Appearance and part stream, fused by bilinear pooling (paper Fig. 2)."""

    embedder: Literal["two_stream"]
    appearance: Appearance = Appearance()
    part: Part = Field(default_factory=Part)
    align: Literal["average", "max"] = "average"
    bilinear: Bilinear = Bilinear()


class OneStream(Model):
    """One backbone, pooled over places, optionally through fully connected layers (`fc`) or mid-level fusion.

    `pooling` makes one vector of the map `appearance.layer`: its `mean` or generalised mean (`gem`), the `class_token`
    of a Vision Transformer in its place, or both (`concat`: class token, then mean).
    """

    embedder: Literal["one_stream"]
    appearance: Appearance = Appearance()
    pooling: Literal["mean", "gem", "class_token", "concat"] = "mean"
    fc: tuple[Width, ...] = ()
    mid: Mid | None = None


class Loss(Section):
    """Losses of the outputs: of vectors on the embedding and every head, of identities on the classifier's logits.

    The paper's are the triplet loss, L2 distance, negatives from the same action; margin and mining are ours.
    A weight of 0 leaves that loss out; `head_weight` multiplies what the layer-wise heads add. `kreid.losses.LOSSES`
    says which keys each loss takes.
    """

    triplet_weight: Weight = 1.0
    margin: Weight | Literal["soft"] = 0.3
    mining: Literal["hard", "all", "semi_hard"] = "hard"
    distance: Literal["euclidean", "squared_euclidean", "cosine"] = "euclidean"
    same_action: bool = True
    centroid_weight: Weight = 0.0
    info_nce_weight: Weight = 0.0
    temperature: Annotated[Number, Field(gt=0)] = 0.1
    circle_weight: Weight = 0.0
    circle_margin: Annotated[Number, Field(gt=-1, lt=1)] = 0.25
    circle_scale: Annotated[Number, Field(gt=0)] = 128.0
    head_weight: Weight = 1.0
    identity_weight: Weight = 0.0
    label_smoothing: Annotated[Number, Field(ge=0, lt=1)] = 0.0

    @model_validator(mode="after")
    def _something_is_trained(self) -> "Loss":
        if not self.weights():
            *others, last = [row.weight_key for row in LOSSES.values()]
            raise ValueError(f"every weight is 0, so nothing would be trained; set {', '.join(others)} or {last}")
        return self

    def weights(self, output: Output | None = None) -> dict[str, float]:
        """Name -> weight of the losses that train this kind of output, or either; without those of weight 0."""
        rows = [row for row in LOSSES.values() if output in (None, row.output)]
        return {row.name: weight for row in rows if (weight := getattr(self, row.weight_key)) > 0}


class Data(Section):
    """What is drawn: a batch is `persons` x `views` images, at most `views` of a person; `fraction` of the actions.

    `sampler: same_action` packs whole actions into batches. `persons` takes people and `uniform` images of all actions
    together, which leaves few negatives to a loss with `same_action`.

    Training images are changed at random, in this order; the defaults leave all but the flip out, as the paper does:
    - `flip`: probability to mirror the image.
    - `hue`: the colours are turned by up to this part of a full circle either way. `saturation`, `contrast`,
      `brightness`: the distance to grey, the distance to the image's mean grey and everything is multiplied by a
      factor in 1 +- this.
    - `crop_padding`: the image is shifted by up to this many pixels of the network's input, down or up and left or
      right, which is a crop of its size out of the image padded so far.
    - `erase`: probability to fill a rectangle (Zhong et al. 2020) of `erase_area` (least, most) of the image's area,
      uniform; its height / width lies between `erase_aspect` and 1 / `erase_aspect`, uniform in the logarithm, as far
      as such a rectangle fits. Of `erase_area` and `erase_aspect` the defaults are that paper's.
    """

    persons: Positive = 8
    views: Annotated[Integer, Field(ge=2, lt=2**31)] = 4
    fraction: Share = 1.0
    sampler: Literal["same_action", "persons", "uniform"] = "same_action"
    flip: Probability = 0.5
    hue: Annotated[Number, Field(ge=0, le=0.5)] = 0.0
    saturation: Probability = 0.0
    contrast: Probability = 0.0
    brightness: Probability = 0.0
    crop_padding: Annotated[Integer, Field(ge=0, le=2**14)] = 0
    erase: Probability = 0.0
    erase_area: ShareRange = (0.02, 0.4)
    erase_aspect: Share = 0.3


class Train(Section):
    """The optimisation, and what is kept of it.

    `schedule: step` multiplies the learning rate by `decay` every `decay_epochs`. `clip_norm` bounds the norm of the
    whole gradient, `accumulate` takes the mean gradient of so many batches to one update, `ema` is the momentum of a
    moving average of the weights (0: none), which is what is then saved and evaluated.

    `freeze` and `rates` name layers: `part` is a whole stream, `appearance.conv1` the layers of a stream whose names
    begin so. Frozen layers do not learn, nor do their batch norms, until `freeze_epochs` are over (null: never);
    `rates` multiplies the learning rate of some layers. `precision: mixed_bfloat16` or `mixed_float16` (with loss
    scaling) computes in half precision and keeps weights, losses and what is saved in float32. `xla` compiles the
    network, on one device only.

    Validation follows every `validate_every` epochs (0: never) on the first `validate_actions` actions of the valid
    split (null: all). A state to resume from is written after every epoch and every `checkpoint_minutes` (0: after
    epochs only); the newest `keep` stay. TensorBoard gets figures every `log_steps` batches (0: after epochs only), the
    best gallery images of so many queries as `pictures` (0: none) after a validation, and histograms of the weights
    where `histograms` asks for them. With `TF_CONFIG`, the machines wait `worker_minutes` for each other.
    """

    epochs: Positive = 60
    steps_per_epoch: Positive | None = None
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: Annotated[Number, Field(gt=0)] = 1e-5
    weight_decay: Weight = 0.0
    schedule: Literal["step", "cosine", "constant"] = "step"
    decay: Share = 0.1
    decay_epochs: Positive = 20
    warmup_epochs: Weight = 0.0
    clip_norm: Annotated[Number, Field(gt=0)] | None = None
    accumulate: Positive = 1
    ema: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    freeze: tuple[str, ...] = ()
    freeze_epochs: Positive | None = None
    rates: dict[str, Annotated[Number, Field(gt=0)]] = {}
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    xla: bool = False
    seed: Seed = 1
    validate_every: Count = 1
    validate_actions: Positive | None = None
    keep: Positive = 2
    checkpoint_minutes: Weight = 30.0
    log_steps: Count = 50
    pictures: Count = 4
    histograms: bool = False
    worker_minutes: Annotated[Number, Field(gt=0, le=525_600)] = 10.0

    @model_validator(mode="after")
    def _decay_has_a_place(self) -> "Train":
        if self.optimizer == "adam" and self.weight_decay:
            raise ValueError("weight_decay inside adam drives a triplet network to zero; use optimizer: adamw")
        return self

    @model_validator(mode="after")
    def _something_thaws(self) -> "Train":
        if self.freeze_epochs and not self.freeze:
            raise ValueError("freeze_epochs says when the layers of train.freeze learn again; name some there")
        return self


class Rerank(Section):
    """k-reciprocal re-ranking: `k1`, `k2` neighbours, `weight` of the original distance (the paper's lambda)."""

    k1: Positive = 3
    k2: Positive = 2
    weight: Probability = 0.3


class Evaluation(Section):
    """What `kreid-evaluate` and `kreid-rank` do beyond the plain ranking. Off by default; validation stays plain.

    `flip` averages the embeddings of an image and its mirror image, `crops` those of so many crops: whole, centre, top,
    bottom, left, right. `embedding: concat` ranks by the final embedding and all layer-wise heads together, also where
    `model.embedding` is `final`. `expand` moves each query towards so many of its nearest gallery images. `rerank` asks
    for k-reciprocal re-ranking inside each action; `true` takes its defaults.

    `protocol` says which gallery images a query is held against, in validation too: `action`, all of its action, or
    `cross_camera`, Market-1501's (null: what the records say of themselves, `action` where they say nothing).
    """

    flip: bool = False
    crops: Annotated[Integer, Field(ge=1, le=6)] = 1
    embedding: Literal["final", "concat"] = "final"
    expand: Count = 0
    rerank: Rerank | None = None
    protocol: Literal["action", "cross_camera"] | None = None

    @field_validator("rerank", mode="before")
    @classmethod
    def _rerank_by_default(cls, value: Any) -> Any:
        return {True: {}, False: None}[value] if isinstance(value, bool) else value


PLAIN = Evaluation()  # nothing beyond the plain ranking


class Config(Section):
    """A whole run."""

    model: Annotated[TwoStream | OneStream, Field(discriminator="embedder")]
    loss: Loss = Loss()
    data: Data = Data()
    train: Train = Train()
    evaluation: Evaluation = Evaluation()

    @model_validator(mode="after")
    def _patches_fill_the_image(self) -> "Config":
        stream, (height, width) = self.model.appearance, self.model.image_size
        patch = _patch_of(stream.backbone)
        if patch is None or stream.stride == 12 or not (height % patch or width % patch):
            return self
        near = " x ".join(str(max(patch, round(side / patch) * patch)) for side in (height, width))
        raise ValueError(
            f"model.image_size: expected multiples of {patch} pixels, the patch of {stream.backbone}, such as {near}, "
            f"received {height} x {width}"
        )

    @model_validator(mode="after")
    def _crop_leaves_some_of_the_image(self) -> "Config":
        padding, size = self.data.crop_padding, self.model.image_size
        if padding >= min(size):
            raise ValueError(
                f"data.crop_padding: expected less than the image's height and width, {size[0]} and {size[1]} pixels, "
                f"received {padding}"
            )
        return self
