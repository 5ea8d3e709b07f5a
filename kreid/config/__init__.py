"""Configurations: one YAML a run, read and checked key by key.

Imports `kreid.errors`, the table of losses, pydantic and PyYAML alone: no Keras, for commands answer before it loads.

Example:
    >>> config = kreid.config.check({"model": {"embedder": "one_stream"}, "train": {"epochs": 3}})
    >>> config.model.image_size
    (256, 128)
    >>> kreid.config.check({"model": {"embedder": "one_stream"}, "train": {"epoch": 3}})
    Traceback (most recent call last):
    ...
    tfrecords_tools.errors.ConfigError: configuration: train.epoch: unknown key; did you mean epochs?
"""

from kreid.config.loading import as_config, check, dump, load_config, load_tree, read_yaml
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
    "as_config",
    "check",
    "dump",
    "load_config",
    "load_tree",
    "read_yaml",
]
