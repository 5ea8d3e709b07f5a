"""The forms of `metrics_<split>.json`, which kreid-evaluate writes, and of what kreid-compare makes of them: types."""

from typing import Any, NotRequired, TypedDict

from kreid.ranking.scores import Fractions, Metrics
from kreid.ranking.verification import Verification
from kreid.types import PaperRow


class Surety(TypedDict):
    """How sure a row's scores are; None where they say nothing: over a single action or person, of the first row."""

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
    protocol: str
    runs: list[str]
    join: str | None
    settings: dict[str, Any]
    intervals: dict[str, list[float]] | None
    ties: dict[str, Fractions]
    rows: list[Row]
    verification: Verification | None
    parameters: int
    images_per_second: float
    weights: list[str]
    networks: list[str]  # weights and model together, see `kreid.runs.folder.network_digest`
    records: str  # see `tfrecords_tools.index.Index.digest`
    paper: PaperRow | None
    per_action: PerAction
    per_query: dict[str, list]
    baselines: NotRequired[dict[str, Fractions]]


class Measured(TypedDict):
    """What of it a comparison takes, also from the file of another version."""

    split: str
    runs: list[str]
    settings: dict[str, Any]
    mAP: float
    rank1: float
    intervals: dict[str, list[float]] | None
    parameters: int
    images_per_second: float
    weights: list[str]
    per_query: dict[str, list]
    networks: NotRequired[list[str]]
    records: NotRequired[str]
    metric: NotRequired[str]
    protocol: NotRequired[str]
    paper: NotRequired[PaperRow | None]


class Change(TypedDict):
    """How much a system's score is above the first one's, its 95 % interval, and p of the paired test.

    The last three are None where they say nothing, as in `Surety`.
    """

    difference: float
    low: float | None
    high: float | None
    p_value: float | None


class System(TypedDict):
    """A line of a comparison; `against_first` has a `Change` for mAP and for rank1, and is None for the first."""

    system: str
    settings: dict[str, Any]
    paper: PaperRow | None
    mAP: float
    rank1: float
    intervals: dict[str, list[float]] | None
    parameters: int
    images_per_second: float
    against_first: dict[str, Change] | None


class Compared(TypedDict):
    """What `compare_metrics` gives: systems beside each other, and how many queries and actions they ranked.

    Intervals and tests are over `units`, "actions" or "people".
    """

    split: str
    protocol: str
    queries: int
    actions: int
    units: str
    systems: list[System]
