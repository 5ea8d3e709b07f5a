"""The forms of what kreid-evaluate writes: `metrics_<split>.json`. Types alone."""

from typing import Any, NotRequired, TypedDict

from kreid.ranking.scores import Fractions, Metrics
from kreid.types import PaperRow


class Surety(TypedDict):
    """How sure a row's scores are; None where they say nothing: over a single action, of the first row itself."""

    intervals: dict[str, list[float]] | None
    p_value: float | None


class Seconds(TypedDict):
    """What a row took: of waiting for images and of the network, and of ranking."""

    embedding: float
    ranking: float


class Row(Fractions, Surety):
    """The scores of one way to rank."""

    name: str
    seconds: Seconds


class PerAction(TypedDict):
    """Columns, a value for each action; mAP is None where no query has a match."""

    action: list[int]
    mAP: list[float | None]
    queries: list[int]


class RunMetrics(Metrics):
    """What `evaluate_runs` gives."""

    split: str
    metric: str
    runs: list[str]
    join: str | None
    settings: dict[str, Any]
    intervals: dict[str, list[float]] | None
    ties: dict[str, Fractions]
    rows: list[Row]
    parameters: int
    images_per_second: float
    weights: list[str]
    paper: PaperRow | None
    per_action: PerAction
    per_query: dict[str, list]
    baselines: NotRequired[dict[str, Fractions]]
