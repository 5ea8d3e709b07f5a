"""Named tensors into a Keras model, whatever framework they come from: validate everything, then set everything."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kreid.weights.jax_names import as_timm
from tfrecords_tools.errors import one_line

if TYPE_CHECKING:  # Keras takes seconds to import, and listing a file's tensors needs none of it
    import keras

Shape = tuple[int, ...]
Names = Mapping[str, str | None] | Callable[[str], str | None]


class Layout(NamedTuple):
    """How a Keras variable is laid out upstream, both ways as functions of the Keras shape."""

    upstream_shape: Callable[[Shape], Shape]
    to_keras: Callable[[np.ndarray, Shape], np.ndarray]


# Caffe's and PyTorch's layouts: OIHW, depthwise (channels * multiplier, 1, H, W), OI, and plain vectors.
CONV = Layout(lambda s: (s[3], s[2], s[0], s[1]), lambda a, s: a.transpose(2, 3, 1, 0))
DEPTHWISE = Layout(
    lambda s: (s[2] * s[3], 1, s[0], s[1]), lambda a, s: a.reshape(s[2], s[3], s[0], s[1]).transpose(2, 3, 0, 1)
)
LINEAR = Layout(lambda s: (s[1], s[0]), lambda a, s: a.T)
VECTOR = Layout(lambda s: (math.prod(s),), lambda a, s: a.reshape(s))
KERAS = Layout(lambda s: s, lambda a, s: a)
ROWS = Layout(lambda s: (s[0], 1, *s[1:]), lambda a, s: a.reshape(s))  # TransReID's vectors of the cameras
OWN = Layout(lambda s: s, lambda a, s: a)  # the layer's method `adapt` makes of the tensor what the layer holds

# Layer class -> Keras variable -> (what stands behind the layer's name upstream, its layout there), the likeliest
# first. Subclasses inherit; a layer that is not here takes Keras's own names and layouts only.
_AFFINE: dict[str, tuple[tuple[str, Layout], ...]] = {"gamma": ((".weight", VECTOR),), "beta": ((".bias", VECTOR),)}
KINDS: dict[str, dict[str, tuple[tuple[str, Layout], ...]]] = {
    "Conv2D": {"kernel": ((".weight", CONV),), "bias": ((".bias", VECTOR),)},
    "DepthwiseConv2D": {"kernel": ((".weight", DEPTHWISE),), "bias": ((".bias", VECTOR),)},
    "Dense": {  # `in_proj_weight` of PyTorch's attention; `proj`, a bare matrix of CLIP's, which it stands left of
        "kernel": ((".weight", LINEAR), ("_weight", LINEAR), ("", KERAS)),
        "bias": ((".bias", VECTOR), ("_bias", VECTOR)),
    },
    "BatchNormalization": {
        **_AFFINE,
        "moving_mean": ((".running_mean", VECTOR),),
        "moving_variance": ((".running_var", VECTOR),),
    },
    "GroupNormalization": _AFFINE,
    "LayerNormalization": _AFFINE,
    "PReLU": {"alpha": ((".slope", VECTOR), (".weight", VECTOR))},
    "Embedding": {"embeddings": ((".weight", KERAS), ("", ROWS))},
    "LearnedTokens": {"tokens": (("", OWN),)},
    "PositionEmbedding": {"embedding": (("", OWN),)},
}
# Older Keras names of variables.
ALIASES = {"DepthwiseConv2D": {"kernel": "depthwise_kernel"}}
# Modules that networks are wrapped into, whose names then stand before theirs: DataParallel's, a training script's,
# TransReID's and CLIP's.
WRAPPERS = ("module", "model", "base", "visual")
# What PyTorch keeps in a state dict beside the weights, and no network needs: never reported.
BOOKKEEPING = ".num_batches_tracked"


class Misshapen(NamedTuple):
    """A tensor whose shape does not fit; both shapes are as the file's framework has them."""

    name: str
    expected: Shape
    received: Shape

    def __str__(self) -> str:
        return f"{self.name}: expected {self.expected}, received {self.received}"


@dataclass(frozen=True)
class Report:
    """What `assign` did, by the tensors' names in the file.

    Args:
        loaded: names that were assigned.
        missing: names that the model wants and the file lacks.
        unused: names in the file, under the prefix, that the model has no place for.
        misshapen: tensors whose shape does not fit, which were left out.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unused: tuple[str, ...]
    misshapen: tuple[Misshapen, ...]

    def __str__(self) -> str:
        parts = [f"{len(self.loaded)} tensors loaded"]
        for label in ("missing", "unused", "misshapen"):
            names = getattr(self, label)
            parts.append(f"{len(names)} {label}" + (f" ({_first(names)})" if names else ""))
        return ", ".join(parts)


class _Place(NamedTuple):
    """A variable and the tensors that may fill it, the likeliest first."""

    variable: "keras.Variable"
    owner: str  # path of the layer, for messages
    candidates: tuple[tuple[str, Layout], ...]
    adapt: Callable[[np.ndarray], np.ndarray] | None  # of a layer that takes tensors of other shapes

    def behind(self, prefix: str) -> "_Place":
        """The place for the tensors whose names begin with `prefix`."""
        return self._replace(candidates=tuple((prefix + name, layout) for name, layout in self.candidates))


def assign(
    model: "keras.Model",
    tensors: Mapping[str, np.ndarray],
    *,
    names: Names | None = None,
    prefix: str = "",
    strict: bool = True,
) -> Report:
    """Set a model's weights from tensors that are named `<upstream layer>.<kind>`, as `read` returns them.

    Every tensor is checked before the first is set, so an error leaves the model as it was. Kernels are transposed
    from Caffe's and PyTorch's layout; tensors from Keras's own files, known by their names, are taken as they are.
    Shapes may differ by the ones that old Caffe files put in front, between a fully connected layer and the
    convolution over the same inputs, and in nothing else.

    Args:
        model: built; nested models and layers within layers are searched too.
        tensors: by name; those of JAX's Vision Transformers are taken, and reported, by timm's names.
        names: Keras layer name -> upstream layer name, as a dict (layers that are not in it keep their name) or a
            function; None for a layer means that the file has nothing for it. By default the names are equal.
        prefix: what stands before every name in the file that is meant, such as `"backbone."`. By default none,
            or those of `WRAPPERS` under which most of the network is found, such as `"module.visual."`.
        strict: refuse missing and misshapen tensors; otherwise load what fits and report the rest.

    Returns:
        A report of loaded, missing, unused and misshapen tensors. PyTorch's `num_batches_tracked` counts as nothing.

    Raises:
        ValueError: for missing or misshapen tensors if `strict`, and always for values that are not finite, for two
            layers that would take the same tensor, and where no tensor fits at all.

    Example:
        >>> backbone = kreid.models.build_backbone("openpose_body_25")
        >>> report = assign(backbone, read("pose_iter_584000.caffemodel"))
        >>> len(report.loaded), report.missing
        (327, ())
    """
    places = list(_places(model, names))
    if not places:
        raise ValueError(f"model {model.name}: it has no weights to assign; build it first")
    tensors = as_timm(tensors)
    prefix = prefix or _prefix(places, tensors)
    places = [place.behind(prefix) for place in places]
    found, missing, misshapen = _match(places, tensors)
    loaded = tuple(name for _, name, _ in found)
    taken = {*loaded, *(row.name for row in misshapen)}
    unused = (n for n in tensors if n.startswith(prefix) and n not in taken and not n.endswith(BOOKKEEPING))
    report = Report(loaded, tuple(missing), tuple(unused), tuple(misshapen))
    _check_report(report, model.name, tensors, strict)
    _check_single_use(found)
    values = [_value(array, place.variable, name) for place, name, array in found]
    for (place, _, _), value in zip(found, values, strict=True):
        place.variable.assign(value)
    return report


def _prefix(places: list[_Place], tensors: Mapping[str, np.ndarray]) -> str:
    """What wrappers put before the network's names in a file: of those there are, what finds most of the places."""
    wanted = {name: index for index, place in enumerate(places) for name, _ in place.candidates}
    found: dict[str, set[int]] = {"": set()}
    for name in tensors:
        own = name
        while own not in wanted and own.partition(".")[0] in WRAPPERS:
            own = own.partition(".")[2]
        for key in {name, own} & wanted.keys():  # CLIP's text tower has names of its image tower, behind `visual.`
            found.setdefault(name.removesuffix(key), set()).add(wanted[key])
    return max(found, key=lambda prefix: len(found[prefix]))


def _match(
    places: list[_Place], tensors: Mapping[str, np.ndarray]
) -> tuple[list[tuple[_Place, str, np.ndarray]], list[str], list[Misshapen]]:
    """Find a tensor for every place: those found, in Keras's layout, the names missing, and those of another shape."""
    found, missing, misshapen = [], [], []
    for place in places:
        name, layout = next((c for c in place.candidates if c[0] in tensors), place.candidates[0])
        if name not in tensors:
            missing.append(name)
            continue
        shape = tuple(place.variable.shape)
        given = np.asarray(tensors[name])
        tensor = _fit(place.adapt(given) if layout is OWN and place.adapt else given, layout, shape)
        if tensor is None:
            misshapen.append(Misshapen(name, layout.upstream_shape(shape), np.shape(tensors[name])))
        else:
            found.append((place, name, layout.to_keras(tensor, shape)))
    return found, missing, misshapen


def _places(model: "keras.Model", names: Names | None) -> Iterator[_Place]:
    """Yield every variable of the model once, in the order of its layers."""
    seen: set[int] = set()
    for layer, path in _layers(model, ()):
        inner = {id(weight) for sub in _sublayers(layer) for weight in sub.weights}
        # The layer's own variables, in the order in which Keras 3 numbers them in a file.
        own = [weight for weight in layer.weights if id(weight) not in inner]
        upstream = _upstream_name(layer.name, names)
        for index, variable in enumerate(own):
            if id(variable) in seen or upstream is None:
                continue
            seen.add(id(variable))
            candidates = tuple(_candidates(layer, "/".join(path), upstream, variable.name, index))
            yield _Place(variable, "/".join(path), candidates, getattr(layer, "adapt", None))


def _layers(layer: "keras.Layer", path: tuple[str, ...]) -> Iterator[tuple["keras.Layer", tuple[str, ...]]]:
    """Yield the layers within a model and their paths, such as `("part", "conv1_1")`, outer ones first."""
    for sub in _sublayers(layer):
        yield sub, (*path, sub.name)
        yield from _layers(sub, (*path, sub.name))


def _sublayers(layer: "keras.Layer") -> list["keras.Layer"]:
    # `model.layers` exists for models only; this is what it calls, and works for layers within a layer too.
    return list(layer._flatten_layers(include_self=False, recursive=False))


def _upstream_name(name: str, names: Names | None) -> str | None:
    if names is None:
        return name
    return names(name) if callable(names) else names.get(name, name)


def _candidates(
    layer: "keras.Layer", path: str, upstream: str, variable: str, index: int
) -> Iterator[tuple[str, Layout]]:
    """Yield the names under which a file may hold a variable: upstream's first, then those of Keras's own files."""
    classes = [cls.__name__ for cls in type(layer).__mro__]
    for behind, layout in next((KINDS[cls][variable] for cls in classes if variable in KINDS.get(cls, ())), ()):
        yield f"{upstream}{behind}", layout
    aliases = [ALIASES[cls][variable] for cls in classes if variable in ALIASES.get(cls, ())]
    for owner in dict.fromkeys((path, layer.name)):
        for name in (variable, *aliases, index):
            yield f"{owner}.{name}", KERAS


def _fit(tensor: np.ndarray, layout: Layout, keras_shape: Shape) -> np.ndarray | None:
    """Return the tensor in the layout's shape, or None if it is another tensor."""
    shape = layout.upstream_shape(keras_shape)
    if layout in (KERAS, OWN):
        return tensor if tensor.shape == shape else None
    padding = (1,) * (4 - len(shape))
    same = tensor.shape in (
        shape,
        padding + shape,  # old Caffe files pad every shape to four dimensions
        shape + padding,  # a 1x1 convolution where a fully connected layer is expected
    )
    unrolled = tensor.ndim == 2 and tensor.shape[0] == shape[0] and tensor.size == math.prod(shape)
    return tensor.reshape(shape) if same or unrolled else None


def _value(array: np.ndarray, variable: "keras.Variable", name: str) -> np.ndarray:
    """Return an array in a type that the variable takes without loss; it must be finite."""
    dtype = str(variable.dtype)
    if "float" in dtype and dtype != "float64":
        dtype = "float32"  # for bfloat16 too, which NumPy lacks
    with np.errstate(over="ignore", invalid="ignore"):  # what is too large becomes infinite, hence reported
        array = np.ascontiguousarray(array, dtype)
    wrong = array.size - np.count_nonzero(np.isfinite(array))
    if wrong:
        raise ValueError(f"{name}: {wrong} of {array.size} values are NaN or infinite; nothing was loaded")
    return array


def _check_report(report: Report, model: str, tensors: Mapping[str, np.ndarray], strict: bool) -> None:
    """Raise unless enough fits."""
    total = len(report.loaded) + len(report.missing) + len(report.misshapen)
    if not report.loaded and not report.misshapen:
        raise ValueError(
            f"none of the {len(tensors)} tensors belongs to model {model}, this looks like another network: "
            f"it wants {_first(report.missing)}, the file has {_first(list(tensors))}"
        )
    if not strict or not (report.missing or report.misshapen):
        return
    faults = []
    if report.missing:
        faults.append(f"{len(report.missing)} of {total} tensors are missing ({_first(report.missing)})")
    if report.misshapen:
        faults.append(f"{len(report.misshapen)} of {total} have another shape ({_first(report.misshapen)})")
    hint = "the file may have been cut short"
    if report.unused:
        hint = f"the file has {len(report.unused)} others ({_first(report.unused)}), perhaps it is another network"
    elif not report.missing:
        hint = "the same network in another size?"
    raise ValueError(f"model {model}: {'; '.join(faults)}; {hint}; nothing was loaded")


def _check_single_use(found: list[tuple[_Place, str, np.ndarray]]) -> None:
    """Raise if two variables would be filled by one tensor, as with equally named layers of two nested models."""
    uses = Counter(name for _, name, _ in found)
    for name, count in uses.items():
        if count > 1:
            owners = " and ".join(place.owner for place, other, _ in found if other == name)
            raise ValueError(
                f"{name} would go to {owners}: assign to each nested model by itself, or tell them apart by `names`"
            )


def _first(names: Sequence[object], count: int = 3) -> str:
    """Return the first few of a list, as text."""
    return ", ".join(map(one_line, names[:count])) + (", ..." if len(names) > count else "")
