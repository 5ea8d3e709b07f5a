"""The run folder and the states in it.

Imports `kreid.config` and `kreid.files`, and `kreid.models` once a model is asked for.
"""

from kreid.runs.folder import (
    CHECKPOINTS,
    CONFIG,
    LOG,
    SUMMARY,
    TENSORBOARD,
    WEIGHTS,
    check_new,
    check_resume,
    load_config_of,
    load_model,
    remove,
    result_path,
    run_names,
    weights_digest,
)

__all__ = [
    "CHECKPOINTS",
    "CONFIG",
    "LOG",
    "SUMMARY",
    "TENSORBOARD",
    "WEIGHTS",
    "check_new",
    "check_resume",
    "load_config_of",
    "load_model",
    "remove",
    "result_path",
    "run_names",
    "weights_digest",
]
