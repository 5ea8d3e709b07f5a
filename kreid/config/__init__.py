"""Configurations: one YAML a run, read and checked key by key. Imports `kreid.errors`, pydantic and PyYAML alone."""

from kreid.config.loading import check, dump, load_config
from kreid.config.sections import PLAIN, Config, Data, Evaluation, Loss, OneStream, Rerank, Train, TwoStream

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
]
