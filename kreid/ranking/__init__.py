"""Everything after the vectors: rankings inside an action, their scores and files.

Imports NumPy alone, beside `kreid.errors`, `kreid.files` and what reads labels in `tfrecords_tools`.

Example:
    >>> figures = kreid.ranking.figures_of(embeddings)
    >>> low, high = kreid.ranking.intervals(figures)["mAP"][1:]
    >>> bool(low <= figures.average_precision[figures.matched].mean() <= high)
    True
"""

from kreid.ranking.embeddings import Embeddings, Images
from kreid.ranking.figures import GroupMeans, QueryFigures, group_means
from kreid.ranking.lists import Ranking
from kreid.ranking.neighbours import Found, search
from kreid.ranking.ordering import figures_by_ties, figures_of, rank, rank_by
from kreid.ranking.protocols import PROTOCOLS, gallery_sizes, matchable
from kreid.ranking.reranking import combine, expand_queries, rerank
from kreid.ranking.scores import Metrics, average_precision, evaluate, first_hit
from kreid.ranking.statistics import Comparison, Interval, compare, intervals
from kreid.ranking.truth import read_groundtruth
from kreid.ranking.verification import roc, verify

__all__ = [
    "PROTOCOLS",
    "Comparison",
    "Embeddings",
    "Found",
    "GroupMeans",
    "Images",
    "Interval",
    "Metrics",
    "QueryFigures",
    "Ranking",
    "average_precision",
    "combine",
    "compare",
    "evaluate",
    "expand_queries",
    "figures_by_ties",
    "figures_of",
    "first_hit",
    "gallery_sizes",
    "group_means",
    "intervals",
    "matchable",
    "rank",
    "rank_by",
    "read_groundtruth",
    "rerank",
    "roc",
    "search",
    "verify",
]
