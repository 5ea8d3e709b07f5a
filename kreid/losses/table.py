"""The table of losses: a line each, plain data, so that a configuration is read and searched without Keras.

`objective` builds the losses from it, the `loss` section of a configuration counts its weights by it, and the tuning
space knows from it which key matters under which weight. Imports nothing but the standard library.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import keras

Output = Literal["vectors", "logits", "role_logits", "jersey_logits"]
# The classifiers that a model may have, and the key of the `model` section with their number of classes. Training
# counts these, where a loss of theirs has a weight.
CLASSIFIERS: dict[Output, str] = {"logits": "num_classes", "role_logits": "num_roles", "jersey_logits": "num_jerseys"}


@dataclass(frozen=True)
class LossRow:
    """Where a loss is, what it takes and what it trains.

    Args:
        name: of its file in `kreid/losses`; its weight is the key `<name>_weight` of the `loss` section.
        class_name: of the Keras loss in that file.
        keys: argument of its constructor -> key of the `loss` section.
        output: `"vectors"`, the embedding and every layer-wise head, or the one of `CLASSIFIERS` that it trains.
    """

    name: str
    class_name: str
    keys: Mapping[str, str]
    output: Output

    @property
    def weight_key(self) -> str:
        """The key of the `loss` section that says how much the loss counts; 0 leaves it out."""
        return f"{self.name}_weight"

    def load(self) -> "type[keras.losses.Loss]":
        """The class; Keras is imported here."""
        return getattr(importlib.import_module(f"kreid.losses.{self.name}"), self.class_name)


def _row(name: str, class_name: str, *same: str, output: Output = "vectors", **others: str) -> LossRow:
    """A row from the arguments that are called as their keys, and `argument="key"` for the others."""
    return LossRow(name, class_name, {**{key: key for key in same}, **others}, output)


_ROWS = (
    _row("triplet", "TripletLoss", "margin", "mining", "distance", "same_action"),
    _row("centroid", "CentroidTripletLoss", "margin", "distance", "same_action"),
    _row("info_nce", "InfoNCELoss", "temperature", "learn_temperature", "same_action"),
    _row("circle", "CircleLoss", "same_action", margin="circle_margin", scale="circle_scale"),
    _row("identity", "IdentityLoss", "label_smoothing", output="logits"),
    _row("role", "RoleLoss", output="role_logits"),
    _row("jersey", "JerseyLoss", output="jersey_logits"),
)
LOSSES: dict[str, LossRow] = {row.name: row for row in _ROWS}


def weight_keys_by_key() -> dict[str, tuple[str, ...]]:
    """Key of the `loss` section -> the weights of the losses that take it: under none of them nothing depends on it."""
    found: dict[str, tuple[str, ...]] = {}
    for row in LOSSES.values():
        for key in row.keys.values():
            found[key] = (*found.get(key, ()), row.weight_key)
    return found
