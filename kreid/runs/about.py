"""What a run says of itself, for files that leave it: configuration, figures, digest of its weights."""

from pathlib import Path
from typing import Any

from kreid.runs.folder import SUMMARY, load_config_of
from kreid.runs.weights import weights_digest
from tfrecords_tools.json_text import load_json

_FIGURES = ("split", "protocol", "metric", "queries", "mAP", "rank1", "rank5", "rank10")


def describe_run(run: str | Path) -> dict[str, Any]:
    """Return what a run is, ready for JSON.

    Args:
        run: a run folder with weights.

    Returns:
        "name" of the folder; "configuration"; "weights", the digest of `model.weights.h5`; "summary", the training's
        but for the configuration, None where there is none; "metrics", scores of each `metrics_*.json` of the weights.

    Raises:
        ConfigError: where the folder is no run.
        ValueError: where it has no weights.
    """
    run = Path(run)
    digest = weights_digest(run)
    summary = _read(run / SUMMARY)
    if isinstance(summary, dict):
        summary.pop("config", None)
    scores = [_read(path) for path in sorted(run.glob("metrics_*.json"))]
    return {
        "name": run.resolve().name,
        "configuration": load_config_of(run).model_dump(mode="json"),
        "weights": digest,
        "summary": summary if isinstance(summary, dict) else None,
        "metrics": [
            {name: figures.get(name) for name in _FIGURES}
            for figures in scores
            if isinstance(figures, dict) and figures.get("weights") == [digest]
        ],
    }


def _read(path: Path) -> Any:
    """The content of a JSON file, None where there is none: a damaged file of figures keeps no network in."""
    try:
        return load_json(path.read_bytes())
    except (OSError, ValueError):
        return None
