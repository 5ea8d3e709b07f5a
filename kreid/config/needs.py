"""Which keys need which others: without any of these, nothing that is trained or scored depends on them."""

import operator

from kreid.config.dotted import flatten
from kreid.config.sections import Config
from kreid.losses.table import weight_keys_by_key

# Key -> the keys of which one has to be set (to this value) for any score to depend on it.
NEEDS: dict[str, tuple[str, ...]] = {
    "data.erase_area": ("data.erase",),
    "data.erase_aspect": ("data.erase",),
    "loss.head_weight": ("model.heads.layers",),
    "model.appearance.reduce_kernel": ("model.appearance.reduce_dim",),
    "model.bilinear.output_dim": ("model.bilinear.mode=compact",),
    "model.bilinear.seed": ("model.bilinear.mode=compact",),
    "model.heads.dim": ("model.heads.layers",),
    "model.heads.hidden": ("model.heads.layers",),
    "train.decay": ("train.schedule=step",),
    "train.decay_epochs": ("train.schedule=step",),
    **{f"loss.{key}": tuple(f"loss.{weight}" for weight in found) for key, found in weight_keys_by_key().items()},
}


def is_met(config: Config, need: str) -> bool:
    """Whether a configuration has what an entry of `NEEDS` asks for: a key that is set, or set to a value.

    Example:
        >>> is_met(load_config("demo"), "train.schedule=step")
        False
    """
    name, _, wanted = need.partition("=")
    value = operator.attrgetter(name)(config)
    return value == wanted if wanted else bool(value)


def without_effect(config: Config) -> list[str]:
    """Return what a configuration says otherwise than by default and nothing depends on, each with what it needs.

    Example:
        >>> without_effect(as_config({"model": {"embedder": "one_stream"}, "loss": {"head_weight": 2}}))
        ['loss.head_weight without model.heads.layers']
    """
    keys = flatten(config.model_dump(mode="json")).keys() & NEEDS
    return [
        f"{key} without {' or '.join(NEEDS[key])}"
        for key in sorted(keys)
        if _is_changed(config, key) and not any(is_met(config, need) for need in NEEDS[key])
    ]


def _is_changed(config: Config, key: str) -> bool:
    where, _, name = key.rpartition(".")
    section = operator.attrgetter(where)(config)
    return getattr(section, name) != type(section).model_fields[name].default
