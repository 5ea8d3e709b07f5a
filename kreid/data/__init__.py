"""From files and records to batches of pixels and labels.

Imports TensorFlow, `tfrecords_tools`, `kreid.layers` and `kreid.ranking`.

Example:
    >>> training_set = kreid.data.TrainingSet("records", kreid.load_config("demo").data, seed=1)
    >>> plan = list(training_set.sampler.epoch(0))
    >>> len(plan) > 0  # batches of an epoch
    True
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from kreid.data.images import decode as decode
    from kreid.data.images import decode_and_resize as decode_and_resize
    from kreid.data.images import file_batches as file_batches
    from kreid.data.images import read_image as read_image
    from kreid.data.images import resize as resize
    from kreid.data.records import damage_named as damage_named
    from kreid.data.records import find_records as find_records
    from kreid.data.records import first_damaged as first_damaged
    from kreid.data.records import read_fields as read_fields
    from kreid.data.records import record_batches as record_batches
    from kreid.data.sampling import Sampler as Sampler
    from kreid.data.training_set import TrainingSet as TrainingSet
    from kreid.data.training_set import training_batches as training_batches

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "images": ["decode", "decode_and_resize", "file_batches", "read_image", "resize"],
        "records": ["damage_named", "find_records", "first_damaged", "read_fields", "record_batches"],
        "sampling": ["Sampler"],
        "training_set": ["TrainingSet", "training_batches"],
    },
)
