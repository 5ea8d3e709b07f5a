"""The sections of a configuration beside the network's: every key with its type, range, default and meaning."""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from kreid.config.network import OneStream, TwoStream, patch_of
from kreid.config.values import Count, Integer, Number, Positive, Probability, Section, Seed, Share, ShareRange, Weight
from kreid.losses.table import LOSSES, Output

WRITTEN = "written"  # context of a run's own configuration, which an earlier version may have accepted


class Loss(Section):
    """Losses of the outputs: of vectors on the embedding and every head, of people, roles and jerseys on classifiers.

    The paper's are the triplet loss, L2 distance, negatives from the same action; margin and mining are ours.
    A weight of 0 leaves that loss out. `kreid.losses.LOSSES` says which keys each loss takes.
    """

    triplet_weight: Weight = 1.0
    """Weight of the triplet loss."""
    margin: Weight | Literal["soft"] = 0.3
    """How much farther than a positive a negative shall be; `soft`: log(1 + exp(.)) in place of a margin."""
    mining: Literal["hard", "all", "semi_hard"] = "hard"
    """Which triplets of an anchor count: the farthest positive with the nearest negative (`hard`), `all` that are not
    yet satisfied, or each positive with the nearest negative beyond it (`semi_hard`)."""
    distance: Literal["euclidean", "squared_euclidean", "cosine"] = "euclidean"
    """Distance between vectors in the triplet losses."""
    same_action: bool = True
    """Take negatives from the anchor's own action alone, those that it is ranked against."""
    centroid_weight: Weight = 0.0
    """Weight of the centroid triplet loss."""
    info_nce_weight: Weight = 0.0
    """Weight of InfoNCE."""
    temperature: Annotated[Number, Field(gt=0)] = 0.1
    """Of InfoNCE: what cosine similarities are divided by."""
    learn_temperature: bool = False
    """Of InfoNCE: let the temperature learn from there on, as CLIP does; it never falls below 0.01."""
    circle_weight: Weight = 0.0
    """Weight of the circle loss."""
    circle_margin: Annotated[Number, Field(gt=-1, lt=1)] = 0.25
    """Of the circle loss: its relaxation m."""
    circle_scale: Annotated[Number, Field(gt=0)] = 128.0
    """Of the circle loss: its scale gamma."""
    head_weight: Weight = 1.0
    """Multiplies what the layer-wise heads add."""
    identity_weight: Weight = 0.0
    """Weight of the identity classifier's cross entropy."""
    label_smoothing: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    """Of the cross entropy: probability that is spread over all people."""
    role_weight: Weight = 0.0
    """Weight of the cross entropy of the person's role, over the images whose records tell it."""
    jersey_weight: Weight = 0.0
    """Weight of the cross entropy of the jersey number, over the images whose records tell it."""

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
    """What is drawn, and how training images are changed at random.

    The changes come in the order of the keys; the defaults leave all but the flip out, as the paper does.
    """

    persons: Positive = 8
    """People of a batch: it has `persons` x `views` images."""
    views: Annotated[Integer, Field(ge=2, lt=2**31)] = 4
    """At most so many images of a person in a batch."""
    fraction: Share = 1.0
    """Part of the training actions that is used; the paper's: 0.1 and 0.02."""
    sampler: Literal["same_action", "persons", "uniform"] = "same_action"
    """`same_action` packs whole actions into batches; `persons` takes people and `uniform` images of all actions
    together, which leaves few negatives to a loss with `same_action`."""
    flip: Probability = 0.5
    """Probability to mirror the image."""
    hue: Annotated[Number, Field(ge=0, le=0.5)] = 0.0
    """Colours are turned by up to this part of a full circle either way."""
    saturation: Probability = 0.0
    """The distance to grey is multiplied by a factor in 1 +- this."""
    contrast: Probability = 0.0
    """The distance to the image's mean grey is multiplied by a factor in 1 +- this."""
    brightness: Probability = 0.0
    """Everything is multiplied by a factor in 1 +- this."""
    crop_padding: Annotated[Integer, Field(ge=0, le=2**14)] = 0
    """The image is shifted by up to this many pixels of the network's input, down or up and left or right, which is
    a crop of its size out of the image padded so far."""
    erase: Probability = 0.0
    """Probability to fill a rectangle (Zhong et al. 2020)."""
    erase_area: ShareRange = (0.02, 0.4)
    """Least and most of the image's area that it covers, uniform; that paper's."""
    erase_aspect: Share = 0.3
    """Its height / width lies between this and 1 / this, uniform in the logarithm, as far as such a rectangle fits;
    that paper's."""


class Train(Section):
    """The optimisation, and what is kept of it.

    `freeze` and `rates` name layers: `part` is a whole stream, `appearance.conv1` the layers of a stream whose names
    begin so.
    """

    epochs: Positive = 60
    """How often the training set is gone through."""
    steps_per_epoch: Positive | None = None
    """Batches of an epoch at most; null: all that the sampler makes of the training set."""
    optimizer: Literal["adam", "adamw", "sgd", "muon"] = "adam"
    """The optimiser; `adamw` is Adam with decoupled weight decay, `muon` makes the updates of kernels orthogonal, which
    from random weights teaches more in as many steps, at five times Adam's rate."""
    learning_rate: Annotated[Number, Field(gt=0)] = 1e-5
    """Of the first epoch, or at the end of the warm-up."""
    weight_decay: Weight = 0.0
    """Of `adamw`, `sgd` and `muon`: the part, times the learning rate, that weights shrink by at an update; norms,
    biases, tokens and positions do not."""
    schedule: Literal["step", "cosine", "constant"] = "step"
    """`step` multiplies the learning rate by `decay` every `decay_epochs`, `cosine` lets it fall to 0 at the
    last epoch."""
    decay: Share = 0.1
    """Of `schedule: step`: the factor."""
    decay_epochs: Positive = 20
    """Of `schedule: step`: epochs from factor to factor."""
    warmup_epochs: Weight = 0.0
    """The learning rate rises from 0 in so many epochs, whole or not."""
    clip_norm: Annotated[Number, Field(gt=0)] | None = None
    """Bounds the norm of the whole gradient; null: no bound."""
    accumulate: Positive = 1
    """Takes the mean gradient of so many batches to one update."""
    ema: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    """Momentum of a moving average of the weights, which is what is then saved and evaluated; 0: none."""
    freeze: tuple[str, ...] = ()
    """Layers that do not learn, nor do their batch norms, until `freeze_epochs` are over."""
    freeze_epochs: Positive | None = None
    """After so many epochs the layers of `freeze` learn too; null: never."""
    rates: dict[str, Annotated[Number, Field(gt=0)]] = Field(default_factory=dict)
    """Factors of the learning rate of some layers, such as `{part: 0.1}`."""
    layer_decay: Share = 1.0
    """Of Vision Transformers: the learning rate falls by this factor from block to block towards the image: the last
    block learns at `layer_decay` times the rate of what follows it, the one before at its square. 1: all alike."""
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    """`mixed_bfloat16` or `mixed_float16` (with loss scaling) computes in half precision and keeps weights, losses and
    what is saved in float32."""
    xla: bool = False
    """Compile the network by XLA; on one device only."""
    remat: bool = False
    """Of Vision Transformers: compute blocks anew for their gradients instead of keeping what is in them (gradient
    checkpointing): a third more to compute, for a fraction of the memory."""
    seed: Seed = 1
    """Of the weights, the batches and their changes."""
    validate_every: Count = 1
    """Validate after so many epochs; 0: never."""
    validate_actions: Positive | None = None
    """On the first so many actions of the valid split; null: on all."""
    keep: Positive = 2
    """How many of the newest states to resume from stay."""
    checkpoint_minutes: Weight = 30.0
    """Minutes between states within an epoch; 0: after epochs only."""
    log_steps: Count = 50
    """TensorBoard gets figures every so many batches; 0: after epochs only."""
    pictures: Count = 4
    """TensorBoard gets the best gallery images of so many queries after a validation; 0: none."""
    histograms: bool = False
    """TensorBoard gets histograms of the weights."""
    worker_minutes: Annotated[Number, Field(gt=0, le=525_600)] = 10.0
    """With `TF_CONFIG`: minutes that the machines wait for each other."""

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
    """k-reciprocal re-ranking."""

    k1: Positive = 3
    """Neighbours that are near."""
    k2: Positive = 2
    """Neighbours averaged over."""
    weight: Probability = 0.3
    """Share of the original distance (the paper's lambda)."""


class Evaluation(Section):
    """What `kreid-evaluate` and `kreid-rank` do beyond the plain ranking. Off by default; validation stays plain."""

    flip: bool = False
    """Average the embeddings of an image and its mirror image."""
    crops: Annotated[Integer, Field(ge=1, le=6)] = 1
    """Average those of so many crops: whole, centre, top, bottom, left, right."""
    embedding: Literal["final", "concat"] = "final"
    """`concat` ranks by the final embedding and all layer-wise heads together, also where `model.embedding` is
    `final`."""
    expand: Count = 0
    """Move each query towards so many of its nearest gallery images."""
    rerank: Rerank | None = None
    """k-reciprocal re-ranking inside each action; `true` takes its defaults, null leaves it out."""
    protocol: Literal["action", "cross_camera"] | None = None
    """Which gallery images a query is held against, in validation too: `action`, all of its action, or `cross_camera`,
    Market-1501's. null: what the records say of themselves, `action` where they say nothing."""

    @field_validator("rerank", mode="before")
    @classmethod
    def _rerank_by_default(cls, value: Any) -> Any:
        return {True: {}, False: None}[value] if isinstance(value, bool) else value


PLAIN = Evaluation()  # nothing beyond the plain ranking


class Config(Section):
    """A whole run."""

    model: Annotated[TwoStream | OneStream, Field(discriminator="embedder")]
    """The network."""
    loss: Loss = Loss()
    """The losses."""
    data: Data = Data()
    """The batches."""
    train: Train = Train()
    """The optimisation."""
    evaluation: Evaluation = Evaluation()
    """Better rankings than the plain one."""

    @model_validator(mode="after")
    def _there_are_heads_to_join(self, info: ValidationInfo) -> "Config":
        if self.model.heads.layers or info.context == WRITTEN:
            return self
        for name in ("model", "evaluation"):
            if getattr(self, name).embedding == "concat":
                raise ValueError(
                    f"{name}.embedding: concat joins the layer-wise heads, and model.heads.layers names none; name "
                    f"some, or leave {name}.embedding out"
                )
        return self

    @model_validator(mode="after")
    def _patches_fill_the_image(self) -> "Config":
        stream, (height, width) = self.model.appearance, self.model.image_size
        patch = patch_of(stream.backbone)
        if patch is None or stream.stride == 12 or not (height % patch or width % patch):
            return self
        near = " x ".join(str(max(patch, round(side / patch) * patch)) for side in (height, width))
        raise ValueError(
            f"model.image_size: expected multiples of {patch} pixels, the patch of {stream.backbone}, such as {near}, "
            f"received {height} x {width}"
        )

    @model_validator(mode="after")
    def _stripes_are_of_a_map(self) -> "Config":
        if self.model.stripes > 1 and "class_token" in (
            getattr(self.model, "pooling", None),
            self.model.appearance.layer,
        ):
            raise ValueError(
                "model.stripes: a class token has no rows to divide; expected 1, or model.pooling and "
                f"model.appearance.layer to name a map, received {self.model.stripes}"
            )
        return self

    @model_validator(mode="after")
    def _crop_leaves_some_of_the_image(self) -> "Config":
        padding, size = self.data.crop_padding, self.model.image_size
        if padding >= min(size):
            raise ValueError(
                f"data.crop_padding: expected less than the image's height and width, {size[0]} and {size[1]} pixels, "
                f"received {padding}"
            )
        return self
