"""The paper's own figures, in one place; and which of them a configuration compares with."""

from kreid.config.network import OneStream
from kreid.config.sections import Config
from kreid.types import PaperRow

# Tables 1 to 3 of the paper: mAP and rank-1 on SoccerNet-v3 ReID's test split, in percent, after training on 10 % and
# on 2 % of the actions; None where it gives no figure.
TABLE = {
    "two-stream": ((63.7, 52.8), (55.0, 42.4)),
    "OSNet": ((61.6, 51.2), (55.5, 45.1)),
    "InceptionV4": ((46.7, 32.0), (49.9, 35.8)),
    "ResNet50mid": ((46.5, 31.7), (42.9, 27.8)),
    "ResNet50": ((46.7, 32.8), (44.2, 28.9)),
    "layer-wise": ((50.4, 36.2), None),
}
FRACTIONS = (0.1, 0.02)

_NETWORKS = {"resnet50": "conv5", "osnet_x1_0": "conv5", "inception_v4": "inception_c"}


def paper_row(config: Config, split: str = "test", protocol: str = "action") -> PaperRow | None:
    """Return the paper's figures for a configuration's network and part of the training set.

    Args:
        config: of the run.
        split: where the run is scored; the paper's figures are of "test".
        protocol: how; the paper's figures are by "action".

    Returns:
        {"system": ..., "mAP": ..., "rank1": ...} with fractions, as `kreid.report.write_report` takes it; None where
        the paper has no such row, as for narrower networks, smaller images or another part of the training set.
    """
    network = _network(config)
    if (split, protocol) != ("test", "action") or network is None or config.data.fraction not in FRACTIONS:
        return None
    figures = TABLE[network][FRACTIONS.index(config.data.fraction)]
    if figures is None:
        return None
    mean_precision, rank1 = figures
    system = f"Paper ({network}, {100 * config.data.fraction:g} % of SoccerNet-v3)"
    return {"system": system, "mAP": round(mean_precision / 100, 4), "rank1": round(rank1 / 100, 4)}


def _network(config: Config) -> str | None:
    """Return the table's name for the network, or None."""
    model, stream = config.model, config.model.appearance
    whole = _NETWORKS.get(stream.backbone) == stream.layer and stream.width_divisor == 1
    if not whole or model.image_size != (256, 128):
        return None
    if not isinstance(model, OneStream):
        plain = stream.backbone == "resnet50" and model.part.width_divisor == 1 and not model.heads.layers
        return "two-stream" if plain else None
    if stream.backbone != "resnet50":
        named = {"osnet_x1_0": "OSNet", "inception_v4": "InceptionV4"}
        return None if model.heads.layers or model.mid else named[stream.backbone]
    if model.heads.layers:
        return None if model.mid else "layer-wise"
    return "ResNet50mid" if model.mid else "ResNet50"
