"""Losses over a batch of embeddings, in `keras.ops`: they run on every backend.

A new one is a file beside this one, a line in `LOSSES` and its keys: docs/adding_a_loss.md. Imports `kreid.errors`,
`kreid.layers`, `kreid.types` and Keras; the table of losses none of them, for configurations are read without Keras.

Keras finds the classes of a saved model by their registered names, which they have once their modules are imported. So
any loss that is asked for brings all of them, and so does this package where Keras is there already.

Example:
    >>> loss = kreid.losses.TripletLoss(margin=0.3)
    >>> labels = np.array([[7, 1], [7, 1], [8, 1]])  # person, action
    >>> float(loss(labels, np.array([[0, 1], [0, 1], [1, 0]], "float32")))
    0.0
    >>> sorted(kreid.losses.build_losses(kreid.load_config("demo").loss, ["embedding"]))
    ['embedding']
"""

import importlib
import sys
from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from kreid.losses.centroid import CentroidTripletLoss as CentroidTripletLoss
    from kreid.losses.circle import CircleLoss as CircleLoss
    from kreid.losses.identity import IdentityLoss as IdentityLoss
    from kreid.losses.info_nce import InfoNCELoss as InfoNCELoss
    from kreid.losses.jersey import JerseyLoss as JerseyLoss
    from kreid.losses.objective import WeightedSum as WeightedSum
    from kreid.losses.objective import build_losses as build_losses
    from kreid.losses.pairs import DISTANCES as DISTANCES
    from kreid.losses.pairs import PairLoss as PairLoss
    from kreid.losses.pairs import hardest as hardest
    from kreid.losses.pairs import pair_masks as pair_masks
    from kreid.losses.pairs import pairwise_distances as pairwise_distances
    from kreid.losses.role import RoleLoss as RoleLoss
    from kreid.losses.table import LOSSES as LOSSES
    from kreid.losses.table import LossRow as LossRow
    from kreid.losses.triplet import MININGS as MININGS
    from kreid.losses.triplet import TripletLoss as TripletLoss
    from kreid.losses.triplet import triplet_statistics as triplet_statistics

_attribute, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "table": ["LOSSES", "LossRow"],
        "triplet": ["MININGS", "TripletLoss", "triplet_statistics"],
        "centroid": ["CentroidTripletLoss"],
        "info_nce": ["InfoNCELoss"],
        "jersey": ["JerseyLoss"],
        "role": ["RoleLoss"],
        "circle": ["CircleLoss"],
        "identity": ["IdentityLoss"],
        "pairs": ["DISTANCES", "PairLoss", "hardest", "pair_masks", "pairwise_distances"],
        "objective": ["WeightedSum", "build_losses"],
    },
)


def _register() -> None:
    """Import every loss, so that Keras knows it by its registered name."""
    from kreid.losses.table import LOSSES

    for row in LOSSES.values():
        row.load()
    importlib.import_module("kreid.losses.objective")


def __getattr__(name: str) -> object:
    if name in __all__ and name not in ("LOSSES", "LossRow"):
        _register()
    return _attribute(name)


if "keras" in sys.modules:
    _register()
