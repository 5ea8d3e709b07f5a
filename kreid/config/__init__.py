"""Configurations: one YAML a run, read and checked key by key.

Imports `kreid.errors`, the table of losses, pydantic and PyYAML alone: no Keras, for commands answer before it loads.
"""

from kreid.config.loading import check, dump, load_config, load_tree, read_yaml
from kreid.config.network import OneStream, TwoStream
from kreid.config.sections import PLAIN, Config, Data, Evaluation, Loss, Rerank, Train

__all__ = [
    "PLAIN",
    "Config",
    "Data",
    "Evaluation",
    "Loss",
    "OneStream",
    "Rerank",
    "Train",
    "TwoStream",
    "check",
    "dump",
    "load_config",
    "load_tree",
    "read_yaml",
]
