"""The run folder and the states in it.

Imports `kreid.config` and `kreid.files`; `kreid.models` and `kreid.weights` once a model is asked for.
"""

from kreid.runs.folder import (
    CHECKPOINTS,
    CONFIG,
    LOG,
    RESUME,
    SUMMARY,
    TENSORBOARD,
    check_new,
    check_resume,
    hold,
    load_config_of,
    load_model,
    network_digest,
    remove,
    result_path,
    run_names,
)
from kreid.runs.weights import DIGEST, WEIGHTS, read_weights, weights_digest, write_weights

__all__ = [
    "CHECKPOINTS",
    "CONFIG",
    "DIGEST",
    "LOG",
    "RESUME",
    "SUMMARY",
    "TENSORBOARD",
    "WEIGHTS",
    "check_new",
    "check_resume",
    "hold",
    "load_config_of",
    "load_model",
    "network_digest",
    "read_weights",
    "remove",
    "result_path",
    "run_names",
    "weights_digest",
    "write_weights",
]
