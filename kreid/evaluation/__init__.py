"""How well runs rank: scores, baselines, comparisons, the paper's figures.

Imports Keras, `kreid.embedding`, `kreid.models`, `kreid.ranking` and `kreid.runs`.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from kreid.evaluation.comparison import compare_metrics as compare_metrics
    from kreid.evaluation.comparison import read_metrics as read_metrics
    from kreid.evaluation.comparison import to_markdown as to_markdown
    from kreid.evaluation.paper import paper_row as paper_row
    from kreid.evaluation.records import rank_records as rank_records
    from kreid.evaluation.scoring import evaluate_runs as evaluate_runs

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "comparison": ["compare_metrics", "read_metrics", "to_markdown"],
        "paper": ["paper_row"],
        "records": ["rank_records"],
        "scoring": ["evaluate_runs"],
    },
)
