"""Losses over a batch of embeddings, in `keras.ops`: they run on every backend.

A new one is a file beside this one, a line in `LOSSES` and its keys: docs/adding_a_loss.md. Imports `kreid.errors`,
`kreid.types` and Keras; the table of losses none of them, for configurations are read without Keras.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from kreid.losses.centroid import CentroidTripletLoss as CentroidTripletLoss
    from kreid.losses.circle import CircleLoss as CircleLoss
    from kreid.losses.identity import IdentityLoss as IdentityLoss
    from kreid.losses.info_nce import InfoNCELoss as InfoNCELoss
    from kreid.losses.objective import WeightedSum as WeightedSum
    from kreid.losses.objective import build_losses as build_losses
    from kreid.losses.pairs import PairLoss as PairLoss
    from kreid.losses.pairs import pair_masks as pair_masks
    from kreid.losses.pairs import pairwise_distances as pairwise_distances
    from kreid.losses.table import LOSSES as LOSSES
    from kreid.losses.table import LossRow as LossRow
    from kreid.losses.triplet import TripletLoss as TripletLoss
    from kreid.losses.triplet import triplet_statistics as triplet_statistics

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "table": ["LOSSES", "LossRow"],
        "triplet": ["TripletLoss", "triplet_statistics"],
        "centroid": ["CentroidTripletLoss"],
        "info_nce": ["InfoNCELoss"],
        "circle": ["CircleLoss"],
        "identity": ["IdentityLoss"],
        "pairs": ["PairLoss", "pair_masks", "pairwise_distances"],
        "objective": ["WeightedSum", "build_losses"],
    },
)
