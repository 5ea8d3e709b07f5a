"""Configurations: one YAML a run, checked key by key, with readable complaints.

Unknown keys, duplicate keys and values of the wrong type are errors that name the key, say what was expected and, for a
misspelt key, which one was probably meant. `1e-5`, which YAML 1.1 reads as a string, is the number that was meant.
"""

import difflib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from kreid.errors import ConfigError
from kreid.trees import set_key


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
Positive = Annotated[Integer, Field(gt=0)]
Count = Annotated[Integer, Field(ge=0)]
Share = Annotated[Number, Field(gt=0, le=1)]
ShareRange = Annotated[tuple[Share, Share], AfterValidator(_least_first)]
Weight = Annotated[Number, Field(ge=0)]
Probability = Annotated[Number, Field(ge=0, le=1)]


class Section(BaseModel):
    """A part of the configuration: unknown keys are errors, values cannot be changed in place."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


class Appearance(Section):
    """The appearance stream, or the only backbone of a one-stream model.

    `weights` is `imagenet` (fetched by Keras, `resnet50` only), a file that `kreid.weights.read` knows, or null.
    `reduce_dim` adds a convolution of `reduce_kernel` pixels without bias behind the map `layer`.
    """

    backbone: str = "resnet50"
    weights: str | None = "imagenet"
    layer: str = "conv5"
    last_stride: Literal[1, 2] | None = None
    variant: Literal["keras", "torchvision"] | None = None
    width_divisor: Positive = 1
    reduce_dim: Positive | None = None
    reduce_kernel: Positive = 7


class Part(Section):
    """The part stream: a sub-network of OpenPose (paper II.B).

    `features` says which maps are fused: the last `confidence` map, `confidence+paf`, or `concat`, which is
    [PAF, confidence, trunk feature]. `embed_dim` adds a 3x3 convolution and a batch normalisation behind them.
    Every stage of the network by default: 4 and 2 for `body_25`, 6 and 6 for `coco`.
    """

    arch: Literal["body_25", "coco"] = "body_25"
    weights: str | None = None
    paf_stages: Annotated[Integer, Field(ge=1, le=6)] = None
    confidence_stages: Annotated[Integer, Field(ge=1, le=6)] = None
    features: Literal["confidence", "confidence+paf", "concat"] = "confidence"
    embed_dim: Positive | None = None
    width_divisor: Positive = 1

    @model_validator(mode="before")
    @classmethod
    def _all_stages(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        paf, confidence = (6, 6) if values.get("arch") == "coco" else (4, 2)
        return {"paf_stages": paf, "confidence_stages": confidence, **values}

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
    output_dim: Positive = 8192
    seed: Integer = 0
    pool: Literal["mean", "sum"] = "mean"
    signed_sqrt: bool = False


class Heads(Section):
    """Layer-wise heads (paper II.D): map -> average over places -> Dense `hidden`, ReLU -> Dense `dim` -> L2."""

    layers: tuple[str, ...] = ()
    hidden: tuple[Positive, ...] = (512,)
    dim: Positive = 256


class Mid(Section):
    """Mid-level fusion of ResNet50-mid: `layers` averaged, joined, through `dim` units, beside the last map."""

    layers: tuple[str, ...]
    dim: Positive = 1024


class Model(Section):
    """What every embedder has: image size (height, width in pixels), heads, identity classifier, ranked embedding.

    `num_classes` is set by training where the identity loss has a weight. `embedding: concat` ranks by the final
    embedding and all layer-wise heads together.
    """

    image_size: tuple[Positive, Positive] = (256, 128)
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
    """One backbone, averaged over places, optionally through fully connected layers (`fc`) or mid-level fusion."""

    embedder: Literal["one_stream"]
    appearance: Appearance = Appearance()
    fc: tuple[Positive, ...] = ()
    mid: Mid | None = None


class Loss(Section):
    """Losses of the outputs: triplets on the embedding and every head, cross entropy on the identity logits.

    The paper's are the triplet loss, L2 distance, negatives from the same action; margin and mining are ours.
    A weight of 0 leaves that loss out; `head_weight` multiplies what the layer-wise heads add.
    """

    triplet_weight: Weight = 1.0
    margin: Weight | Literal["soft"] = 0.3
    mining: Literal["hard", "all", "semi_hard"] = "hard"
    distance: Literal["euclidean", "squared_euclidean", "cosine"] = "euclidean"
    same_action: bool = True
    centroid_weight: Weight = 0.0
    info_nce_weight: Weight = 0.0
    temperature: Annotated[Number, Field(gt=0)] = 0.1
    head_weight: Weight = 1.0
    identity_weight: Weight = 0.0
    label_smoothing: Annotated[Number, Field(ge=0, lt=1)] = 0.0


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
    views: Annotated[Integer, Field(ge=2)] = 4
    fraction: Share = 1.0
    sampler: Literal["same_action", "persons", "uniform"] = "same_action"
    flip: Probability = 0.5
    hue: Annotated[Number, Field(ge=0, le=0.5)] = 0.0
    saturation: Probability = 0.0
    contrast: Probability = 0.0
    brightness: Probability = 0.0
    crop_padding: Annotated[Integer, Field(ge=0)] = 0
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
    seed: Integer = 1
    validate_every: Count = 1
    validate_actions: Positive | None = None
    keep: Positive = 2
    checkpoint_minutes: Weight = 30.0
    log_steps: Count = 50
    pictures: Count = 4
    histograms: bool = False
    worker_minutes: Annotated[Number, Field(gt=0)] = 10.0

    @model_validator(mode="after")
    def _decay_has_a_place(self) -> "Train":
        if self.optimizer == "adam" and self.weight_decay:
            raise ValueError("weight_decay inside adam drives a triplet network to zero; use optimizer: adamw")
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
    """

    flip: bool = False
    crops: Annotated[Integer, Field(ge=1, le=6)] = 1
    embedding: Literal["final", "concat"] = "final"
    expand: Annotated[Integer, Field(ge=0)] = 0
    rerank: Rerank | None = None

    @field_validator("rerank", mode="before")
    @classmethod
    def _rerank_by_default(cls, value: Any) -> Any:
        return {True: {}, False: None}[value] if isinstance(value, bool) else value


class Config(Section):
    """A whole run."""

    model: Annotated[TwoStream | OneStream, Field(discriminator="embedder")]
    loss: Loss = Loss()
    data: Data = Data()
    train: Train = Train()
    evaluation: Evaluation = Evaluation()

    @model_validator(mode="after")
    def _crop_leaves_some_of_the_image(self) -> "Config":
        padding, size = self.data.crop_padding, self.model.image_size
        if padding >= min(size):
            raise ValueError(
                f"data.crop_padding: expected less than the image's height and width, {size[0]} and {size[1]} pixels, "
                f"received {padding}"
            )
        return self


class _Loader(yaml.SafeLoader):
    """PyYAML that refuses a key given twice (PyYAML keeps the last one silently)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen: set = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise ValueError(f"line {key_node.start_mark.line + 1}: expected a word as key, received {key!r}")
            if key in seen:
                raise ValueError(f"line {key_node.start_mark.line + 1}: key {key!r} is given twice; keep one")
            seen.add(key)
        return super().construct_mapping(node, deep)


def load_config(path: str | Path, overrides: list[str] | tuple[str, ...] = ()) -> Config:
    """Read a configuration file and apply `a.b=c` overrides.

    Args:
        path: a YAML file, such as `configs/two_stream.yaml`.
        overrides: `section.key=value` strings; the value is read as YAML.

    Returns:
        The checked configuration, defaults filled in.

    Raises:
        ConfigError: a ValueError naming the file and key, what was expected and what was received.

    Example:
        >>> config = load_config("configs/two_stream.yaml", overrides=["train.epochs=5"])
    """
    return check(load_tree(path, overrides), f"configuration {path}")


def load_tree(path: str | Path, overrides: list[str] | tuple[str, ...] = ()) -> dict:
    """Read a configuration file as `load_config` does, but leave it unchecked: only what the user wrote, as dicts."""
    tree = read_yaml(path, "configuration", "`model:`")
    for override in overrides:
        _override(tree, override)
    return tree


def read_yaml(path: str | Path, what: str, such_as: str) -> dict:
    """Read a YAML file of keys; `what` it is opens the error message, `such_as` is a key it could have."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{what} {path}: cannot be read ({error}); give the path of a YAML file") from None
    tree = _parse(text, f"{what} {path}")
    if not isinstance(tree, dict):
        raise ConfigError(f"{what} {path}: expected keys such as {such_as}, received {type(tree).__name__}")
    return tree


def check(tree: dict, where: str = "configuration") -> Config:
    """Check a configuration given as plain dicts; `where` opens the error message."""
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(f"{where}: {complaints(error.errors(), lambda place: known_keys(place, tree))}") from None


def complaints(errors: Sequence[dict], known_keys: Callable[[list], list[str]]) -> str:
    """What is wrong, in one line, from what pydantic found; `known_keys` tells the keys of the section at a place."""
    return "; ".join(dict.fromkeys(_complaint(item, known_keys) for item in errors))


def dump(config: Config) -> str:
    """Return the configuration as YAML, every default written out; `load_config` reads it back equal."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def _parse(text: str, where: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        raise ConfigError(f"{where}: {line}not YAML ({getattr(error, 'problem', error)})") from None
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from None


def _override(tree: dict, override: str) -> None:
    """Set one `a.b=c` in the tree of plain dicts."""
    key, equals, value = override.partition("=")
    if not equals or not all(key.strip().split(".")):
        raise ConfigError(f"override {override!r}: expected section.key=value, such as train.epochs=5")
    where = f"override {override!r}"
    set_key(tree, key.strip(), _parse(value, where), where)


def _complaint(item: dict, known_keys: Callable[[list], list[str]]) -> str:
    """One line for one pydantic error."""
    place = place_of(item)
    key = ".".join(str(part) for part in place)
    if item["type"] == "extra_forbidden":
        known = known_keys(place[:-1])
        close = difflib.get_close_matches(str(place[-1]), known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known keys: {', '.join(known)}"
        return f"{key}: unknown key; {hint}"
    if item["type"].startswith("union_tag"):
        return f"{key}.embedder: expected two_stream or one_stream, received {(item['input'] or {}).get('embedder')!r}"
    if item["type"] == "missing":
        return f"{key}: missing; add it"
    message = item["msg"].removeprefix("Value error, ")
    if not place:  # about several sections; it names its keys itself
        return message
    return f"{key}: {message[0].lower()}{message[1:]}, received {_short(item['input'])}"


def place_of(item: dict) -> list:
    """Where a pydantic error is, in the user's keys: without the names of the alternatives that pydantic tried."""
    return [part for part in item["loc"] if part not in ("two_stream", "one_stream") and "[" not in str(part)]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def known_keys(place: list, tree: dict) -> list[str]:
    """Keys of the section at `place`, found by walking the model classes beside the user's tree."""
    section: type[BaseModel] = Config
    for part in place:
        if part == "model":
            one_stream = (tree.get("model") or {}).get("embedder") == "one_stream"
            section = OneStream if one_stream else TwoStream
            continue
        annotation = section.model_fields[part].annotation
        choices = [a for a in (annotation, *getattr(annotation, "__args__", ())) if isinstance(a, type)]
        section = next(a for a in choices if issubclass(a, BaseModel))
    return list(section.model_fields)
