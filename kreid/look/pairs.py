"""Which regions make a pair of images alike: the similarity of two embeddings as a sum over places and parts."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras
import numpy as np

from kreid.models.embedders import layer_wise_heads
from kreid.models.openpose import BODY_25_PAF, BODY_25_PARTS, COCO_PAF, COCO_PARTS
from kreid.types import Tensor

PARTS = {len(names): names for names in (BODY_25_PARTS, COCO_PARTS)}  # by the channels of a confidence map
_PAF = {len(BODY_25_PARTS): BODY_25_PAF, len(COCO_PARTS): COCO_PAF}


class Pair(NamedTuple):
    """Where the similarity of two images comes from.

    Attributes:
        similarity: cosine of the two embeddings.
        parts: names of the P parts: key points and what else is fused, or, without a part stream, the maps that are
            pooled.
        values: `(2, h, w, P)` float64, what each place and part of the first image and of the second adds to the
            similarity; negative where it makes the images less alike.
        rest: `(2,)` float64, what no place adds: constants such as biases. `values[n].sum() + rest[n]` is the
            similarity.
    """

    similarity: float
    parts: tuple[str, ...]
    values: np.ndarray
    rest: np.ndarray


class Tail(NamedTuple):
    """A network from pooled maps to one vector of the embedding, before it is scaled to length one.

    Attributes:
        maps: the tensors of the whole model at which it begins.
        network: from values of those to the vector.
        names: for each of the maps the name of every channel; None for a map that goes without a share, since the
            product of two maps is the other's.
        degree: of the vector in the maps: 1, or 1/2 behind a signed square root.
    """

    maps: list[Tensor]
    network: keras.Model
    names: list[list[str] | None]
    degree: float


def tails(model: keras.Model) -> list[Tail]:
    """Return the ends of a model, one for each vector that its embedding joins (one, unless heads are ranked too).

    Args:
        model: from `build_model` or `load_model`.
    """
    return [_tail(model, layer) for layer in _unit_layers(model)]


def explain(ends: Sequence[Tail], maps: Sequence[Sequence[np.ndarray]], embeddings: np.ndarray) -> Pair:
    """Share the similarity of two images out among places and parts.

    With the embedding `f / |f|` the similarity is `f . w`, where `w` is the other image's embedding over `|f|`. The
    pooled outer product is linear in the part map p, so `sum over channels i of a_xy,i G[i,k] p_xy,k` is what place xy
    and part k add, where G is what the layers behind make of `w`; that is `p` times the gradient of `f . w`, `w` held,
    and how it is computed here. These terms sum to the similarity exactly. They do so too:

    - for a map that is averaged and nothing more;
    - behind a signed square root, when each entry of the root is shared out as the entry itself is made up: the
      gradient, which is half of that, is doubled.

    Behind dense layers with ReLU, batch norms and biases the network is linear around these two images up to constants,
    which `Pair.rest` holds.

    Args:
        ends: `tails` of the model.
        maps: for each tail its maps, `(2, h, w, C)`.
        embeddings: `(2, D)`, of length one.

    Returns:
        A `Pair`, on the finest of the maps' grids: coarser cells are divided evenly.

    Reference:
        Baehrens et al., "How to Explain Individual Classification Decisions", JMLR 2010 (gradients); Shrikumar et al.,
        "Not Just a Black Box", arXiv 1605.01713 (times the input).
    """
    forward = [_pull_back(tail.network, inputs) for tail, inputs in zip(ends, maps, strict=True)]
    lengths = [np.linalg.norm(vector.astype(np.float64), axis=1, keepdims=True) for vector, _ in forward]
    # Joined unit vectors are scaled once more; those of length zero stay so and do not count.
    joined = np.sqrt(sum((length > 0).astype(np.float64) for length in lengths))
    shares, start = [], 0
    for tail, inputs, (vector, pull), length in zip(ends, maps, forward, lengths, strict=True):
        other = embeddings[::-1, start : start + vector.shape[1]]
        start += vector.shape[1]
        gradients = pull((other / np.maximum(length * joined, 1e-12)).astype(np.float32))
        for names, values, gradient in zip(tail.names, inputs, gradients, strict=True):
            if names is not None:
                shares.append(_by_name(names, values.astype(np.float64) * gradient / tail.degree))
    grid = max((values.shape[1:3] for _, values in shares), key=np.prod)
    values = np.concatenate([_spread(values, grid) for _, values in shares], axis=-1)
    similarity = float(embeddings[0].astype(np.float64) @ embeddings[1])
    parts = tuple(name for names, _ in shares for name in names)
    return Pair(similarity, parts, values, similarity - values.sum((1, 2, 3)))


def _unit_layers(model: keras.Model) -> list[str]:
    """Names of the layers that scale the vectors of which the embedding is made to length one."""
    units = {f"{name}_embedding": name for name in layer_wise_heads(model)}
    units["final"] = "final"
    before = model.get_layer("concat").input if _has(model, "concat") else [model.get_layer("embedding").input]
    joined = [layer for tensor in before for layer, name in units.items() if model.output.get(name) is tensor]
    return joined or ["embedding"]


def _has(model: keras.Model, name: str) -> bool:
    return any(layer.name == name for layer in model.layers)


def _tail(model: keras.Model, unit: str) -> Tail:
    vector = model.get_layer(unit).input
    if unit not in ("embedding", "final"):
        name = unit.removesuffix("_embedding")
        pools = {f"{name}_pool": f"{name} head"}
    elif _has(model, "fusion"):
        degree = 0.5 if model.get_layer("fusion").signed_sqrt else 1.0
        maps = _fused(model)
        return Tail(maps, keras.Model(maps, vector), [None, _part_names(model)], degree)
    else:
        mid = [layer.name for layer in model.layers if layer.name.startswith("mid_pool_")]
        pools = {name: name.removeprefix("mid_pool_") for name in mid}
        pools["appearance_stripe_1" if _has(model, "stripes") else "pool"] = "appearance"
        pools |= {"token_pool": "class token"} if _has(model, "token_pool") else {}
    named = {id(model.get_layer(pool).input): (model.get_layer(pool).input, name) for pool, name in pools.items()}
    maps = [tensor for tensor, _ in named.values()]
    return Tail(maps, keras.Model(maps, vector), [[name] * tensor.shape[-1] for tensor, name in named.values()], 1.0)


def _fused(model: keras.Model) -> list[Tensor]:
    """The two maps that are fused, whole."""
    if _has(model, "stripes"):
        return [model.get_layer(f"{stream}_stripe_1").input for stream in ("appearance", "part")]
    return model.get_layer("fusion").input


def _part_names(model: keras.Model) -> list[str]:
    """What the channels of the fused part map stand for."""
    channels = _fused(model)[1].shape[-1]
    if _has(model, "part_embed"):
        return [f"fused {number}" for number in range(1, channels + 1)]
    maps = model.get_layer("part").output
    confidence = next(value.shape[-1] for name, value in maps.items() if name.startswith("confidence_"))
    if channels == confidence:
        return list(PARTS[confidence])
    names = ["limbs"] * _PAF[confidence] + list(PARTS[confidence])
    return names + ["trunk"] * (channels - len(names))


def _by_name(names: Sequence[str], values: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Add up the channels of one name: (2, h, w, C) -> their different names and (2, h, w, P)."""
    parts = list(dict.fromkeys(names))
    chosen = np.array([[name == part for part in parts] for name in names], np.float64)  # (C, P)
    return parts, values @ chosen


def _spread(values: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """Divide the cells of `(2, h, w, P)` among those of a finer grid by area, so that sums stay."""
    for axis, fine in enumerate(grid, start=1):
        coarse = values.shape[axis]
        if coarse != fine:
            edges = np.arange(fine + 1) * coarse / fine  # in coarse cells
            low, high = edges[:-1, None], edges[1:, None]
            cells = np.arange(coarse)
            overlap = np.maximum(np.minimum(high, cells + 1) - np.maximum(low, cells), 0)  # (fine, coarse)
            values = np.moveaxis(np.tensordot(overlap, values, axes=(1, axis)), 0, axis)
    return values


def _pull_back(
    network: keras.Model, maps: Sequence[np.ndarray]
) -> tuple[np.ndarray, Callable[[np.ndarray], list[np.ndarray]]]:
    """Return the vectors of some maps, and a function from weights of their entries to the gradients of the maps."""
    if keras.backend.backend() == "jax":
        import jax

        vector, transposed = jax.vjp(lambda *inputs: network(list(inputs), training=False), *maps)
        return np.asarray(vector), lambda weights: [np.asarray(gradient) for gradient in transposed(weights)]
    import tensorflow as tf

    inputs = [tf.constant(one) for one in maps]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        vector = network(inputs, training=False)

    def pull(weights: np.ndarray) -> list[np.ndarray]:
        return [gradient.numpy() for gradient in tape.gradient(vector, inputs, output_gradients=tf.constant(weights))]

    return vector.numpy(), pull
