"""The two OpenPose networks: limbs as part affinity fields (PAF), then key points as confidence maps, stride 8.

Layers carry the names of the Caffe models, so that `pose_iter_584000.caffemodel` (BODY_25),
`pose_iter_440000.caffemodel` (COCO) and pytorch-openpose's `body_pose_model.pth` fit by name. OpenPose's published
weights are licensed for non-commercial use: nothing here ships or downloads them, a user loads a file of his own.

References: Cao et al. 2019, "OpenPose: Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields" (BODY_25);
Cao et al. 2017, "Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields" (COCO).
"""

from collections.abc import Callable, Sequence

import keras
from keras import layers

from kreid.errors import ConfigError
from kreid.layers.preprocessing import ImagePreprocessing
from kreid.models.blocks import check_input_shape, narrow
from kreid.types import Tensor

# What the channels of a confidence map stand for, in OpenPose's order (its doc/02_output.md, "Keypoint Ordering").
COCO_PARTS = (
    *("nose", "neck", "right shoulder", "right elbow", "right wrist", "left shoulder", "left elbow", "left wrist"),
    *("right hip", "right knee", "right ankle", "left hip", "left knee", "left ankle"),
    *("right eye", "left eye", "right ear", "left ear", "background"),
)
BODY_25_PARTS = (
    *(*COCO_PARTS[:8], "middle hip", *COCO_PARTS[8:18]),
    *("left big toe", "left small toe", "left heel", "right big toe", "right small toe", "right heel", "background"),
)
BODY_25_PAF, BODY_25_CONFIDENCE = 52, len(BODY_25_PARTS)  # 26 limbs x (x, y); 25 key points and the background
COCO_PAF, COCO_CONFIDENCE = 38, len(COCO_PARTS)  # 19 limbs x (x, y); 18 key points and the background

# The first ten convolutions of VGG-19: (name, filters), all 3x3; a bare name is a 2x2 max pool.
_VGG = (
    ("conv1_1", 64),
    ("conv1_2", 64),
    "pool1_stage1",
    ("conv2_1", 128),
    ("conv2_2", 128),
    "pool2_stage1",
    ("conv3_1", 256),
    ("conv3_2", 256),
    ("conv3_3", 256),
    ("conv3_4", 256),
    "pool3_stage1",
    ("conv4_1", 512),
)
# The rest of the trunk, 3x3 too: BODY_25 has learnt slopes from here on, COCO plain ReLU.
_TRUNK_END = (("conv4_2", 512), ("conv4_3_CPM", 256), ("conv4_4_CPM", 128))

# Blocks of a BODY_25 stage.
BODY_25_BLOCKS = 5
# (block width, width of the 1x1 convolution behind the blocks) of a BODY_25 stage: its branch's first, and later ones.
_BODY_25_FIRST, _BODY_25_LATER = (96, 256), (128, 512)

# (name before the branch's, filters, kernel) of a COCO stage's convolutions; the last makes the map, so has no filters.
_COCO_FIRST = (
    ("conv5_1_CPM", 128, 3),
    ("conv5_2_CPM", 128, 3),
    ("conv5_3_CPM", 128, 3),
    ("conv5_4_CPM", 512, 1),
    ("conv5_5_CPM", None, 1),
)
_COCO_LATER = (
    ("Mconv1_stage{stage}", 128, 7),
    ("Mconv2_stage{stage}", 128, 7),
    ("Mconv3_stage{stage}", 128, 7),
    ("Mconv4_stage{stage}", 128, 7),
    ("Mconv5_stage{stage}", 128, 7),
    ("Mconv6_stage{stage}", 128, 1),
    ("Mconv7_stage{stage}", None, 1),
)


def body_25(
    input_shape: Sequence[int | None] = (256, 128, 3),
    *,
    paf_stages: int = 4,
    confidence_stages: int = 2,
    width_divisor: int = 1,
    preprocessing: keras.Layer | None = None,
    name: str = "openpose_body_25",
) -> keras.Model:
    """Build OpenPose BODY_25 (2019): PAF stages, each refining the one before, then confidence stages.

    With fewer stages than upstream's 4 and 2 the remaining layers keep their names and shapes, so a file of the whole
    network still fits; its other tensors stay unused.

    Args:
        input_shape: `(height, width, 3)` in pixels, any size; `None` leaves a side open.
        paf_stages: stages of part affinity fields, at least 1; upstream's 4.
        confidence_stages: stages of confidence maps, at least 1; upstream's 2.
        width_divisor: divides the filters of all but the map-making convolutions, down to 4 at least; 1 is the real
            network, whose files fit no other.
        preprocessing: layer from RGB 0-255 to the trunk's input; by default OpenPose's own, BGR and `x / 256 - 0.5`.
        name: of the model.

    Returns:
        A model from images `(N, H, W, 3)`, RGB 0-255, to a dict of maps of size `ceil(H / 8)` by `ceil(W / 8)`:
        `"feature"` (128 channels), `"paf_1"`... (52) and `"confidence_1"`... (26, the background last). Maps are
        linear, without activation.

    Raises:
        ConfigError: for a number of stages or a divisor below 1.
        ValueError: for an input shape that is no RGB image.

    Example:
        >>> backbone = body_25((256, 128, 3), paf_stages=2, confidence_stages=1)
        >>> backbone.output["confidence_1"].shape
        (None, 32, 16, 26)
    """
    _check_at_least_one(paf_stages=paf_stages, confidence_stages=confidence_stages)
    images = keras.Input(check_input_shape(name, input_shape, smallest=1), name="images")
    feature = _trunk(images, preprocessing, width_divisor, _conv_prelu)
    maps = {"feature": feature}

    paf = None
    for stage in range(paf_stages):
        x = feature if stage == 0 else layers.Concatenate(name=f"concat_stage{stage}_L2")([feature, paf])
        paf = _body_25_stage(x, f"stage{stage}_L2", BODY_25_PAF, width_divisor, first=stage == 0)
        maps[f"paf_{stage + 1}"] = paf

    confidence = None
    for stage in range(confidence_stages):
        inputs = [feature, paf] if stage == 0 else [feature, confidence, paf]
        x = layers.Concatenate(name=f"concat_stage{stage}_L1")(inputs)
        confidence = _body_25_stage(x, f"stage{stage}_L1", BODY_25_CONFIDENCE, width_divisor, first=stage == 0)
        maps[f"confidence_{stage + 1}"] = confidence
    return keras.Model(images, maps, name=name)


def coco(
    input_shape: Sequence[int | None] = (256, 128, 3),
    *,
    stages: int = 6,
    width_divisor: int = 1,
    preprocessing: keras.Layer | None = None,
    name: str = "openpose_coco",
) -> keras.Model:
    """Build OpenPose COCO (2017): each stage makes part affinity fields (L1) and confidence maps (L2) side by side.

    With fewer stages than upstream's 6 the remaining layers keep their names and shapes, so a file of the whole network
    still fits; its other tensors stay unused.

    Args:
        input_shape: `(height, width, 3)` in pixels, any size; `None` leaves a side open.
        stages: at least 1; upstream's 6.
        width_divisor: divides the filters of all but the map-making convolutions, down to 4 at least; 1 is the real
            network, whose files fit no other.
        preprocessing: layer from RGB 0-255 to the trunk's input; by default OpenPose's own, BGR and `x / 256 - 0.5`.
        name: of the model.

    Returns:
        A model from images `(N, H, W, 3)`, RGB 0-255, to a dict of maps of size `ceil(H / 8)` by `ceil(W / 8)`:
        `"feature"` (128 channels), `"paf_1"`... (38) and `"confidence_1"`... (19, the background last). Maps are
        linear, without activation.

    Raises:
        ConfigError: for a number of stages or a divisor below 1.
        ValueError: for an input shape that is no RGB image.

    Example:
        >>> coco((256, 128, 3), stages=2).output["paf_2"].shape
        (None, 32, 16, 38)
    """
    _check_at_least_one(stages=stages)
    images = keras.Input(check_input_shape(name, input_shape, smallest=1), name="images")
    feature = _trunk(images, preprocessing, width_divisor, _conv_relu)
    maps = {"feature": feature}

    x = feature
    for stage in range(1, stages + 1):
        if stage > 1:
            previous = [maps[f"paf_{stage - 1}"], maps[f"confidence_{stage - 1}"]]
            x = layers.Concatenate(name=f"concat_stage{stage}")([*previous, feature])
        maps[f"paf_{stage}"] = _coco_branch(x, stage, "L1", COCO_PAF, width_divisor)
        maps[f"confidence_{stage}"] = _coco_branch(x, stage, "L2", COCO_CONFIDENCE, width_divisor)
    return keras.Model(images, maps, name=name)


def _trunk(images: Tensor, preprocessing: keras.Layer | None, divisor: int, conv: Callable) -> Tensor:
    """Map images to `feature`; `conv` is the activated convolution that the network uses from conv4_2 on."""
    if preprocessing is None:
        preprocessing = ImagePreprocessing(mean=128, std=256, channel_order="bgr", name="preprocessing")
    x = preprocessing(images)
    for row in _VGG:
        if isinstance(row, str):
            # Caffe rounds the size of a pool's output up, which is what "same" does.
            x = layers.MaxPooling2D(2, padding="same", name=row)(x)
        else:
            name, filters = row
            x = _conv_relu(x, name, narrow(filters, divisor), 3)
    for name, filters in _TRUNK_END:
        x = conv(x, name, narrow(filters, divisor), 3)
    return x


def _body_25_stage(x: Tensor, stage: str, channels: int, divisor: int, *, first: bool) -> Tensor:
    """Blocks of three 3x3 convolutions, whose outputs are concatenated, then two 1x1 convolutions."""
    block, hidden = (narrow(n, divisor) for n in (_BODY_25_FIRST if first else _BODY_25_LATER))
    for k in range(1, BODY_25_BLOCKS + 1):
        outputs = []
        for i in range(3):
            x = _conv_prelu(x, f"Mconv{k}_{stage}_{i}", block, 3)
            outputs.append(x)
        x = layers.Concatenate(name=f"Mconv{k}_{stage}_concat")(outputs)
    x = _conv_prelu(x, f"Mconv6_{stage}", hidden, 1)
    return _conv(x, f"Mconv7_{stage}", channels, 1)


def _coco_branch(x: Tensor, stage: int, branch: str, channels: int, divisor: int) -> Tensor:
    """Build one branch of a stage: L1 for the PAF, L2 for the confidence maps."""
    for template, filters, kernel in _COCO_FIRST if stage == 1 else _COCO_LATER:
        name = f"{template.format(stage=stage)}_{branch}"
        if filters is None:
            x = _conv(x, name, channels, kernel)
        else:
            x = _conv_relu(x, name, narrow(filters, divisor), kernel)
    return x


def _conv(x: Tensor, name: str, filters: int, kernel: int, activation: str | None = None, gain: float = 1.0) -> Tensor:
    """Convolve; `gain` is the variance that the activation behind takes away."""
    # Ours, for training from scratch. By inputs, not outputs: a block's input joins three outputs, and counting the
    # smaller side would triple the variance from layer to layer, to maps of thousands after six stages.
    initializer = keras.initializers.VarianceScaling(gain, mode="fan_in", distribution="untruncated_normal")
    conv = layers.Conv2D(
        filters, kernel, padding="same", activation=activation, kernel_initializer=initializer, name=name
    )
    return conv(x)


def _conv_relu(x: Tensor, name: str, filters: int, kernel: int) -> Tensor:
    return _conv(x, name, filters, kernel, activation="relu", gain=2.0)


def _conv_prelu(x: Tensor, name: str, filters: int, kernel: int) -> Tensor:
    """Convolve, then PReLU with one slope a channel, which Caffe keeps as a layer of its own."""
    slope = 0.25  # Caffe's default
    x = _conv(x, name, filters, kernel, gain=2.0 / (1.0 + slope**2))
    prelu = name.replace("conv", "prelu")
    return layers.PReLU(keras.initializers.Constant(slope), shared_axes=[1, 2], name=prelu)(x)


def _check_at_least_one(**arguments: int) -> None:
    for name, value in arguments.items():
        if not isinstance(value, int) or value < 1:
            raise ConfigError(f"{name}: expected a positive integer, received {value!r}")
