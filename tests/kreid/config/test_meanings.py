"""What each key means stands below it in the code, once, and errors repeat it."""

import pytest

from kreid.config import network, sections
from kreid.config.loading import check
from kreid.config.values import Section
from kreid.errors import ConfigError

SECTIONS = [
    kind
    for module in (network, sections)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Section) and kind.__module__ == module.__name__
]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_every_key_says_what_it_means(section):
    for name, field in section.model_fields.items():
        assert field.description, name
        assert field.description.endswith((".", ")")), name


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"train": {"ema": 1.5}}, "train.ema: input should be less than 1, received 1.5 (Momentum of a moving average"),
        ({"train": {"freeze_epochs": 0}}, "received 0 (After so many epochs the layers of `freeze` learn too)"),
        ({"model": {"embedder": "two_stream", "image_size": [0, 3]}}, "received 0 (Height and width in pixels"),
        ({"train": {"rates": {"part": -1}}}, "train.rates.part: input should be greater than 0, received -1 (Factors"),
        ({"data": {"erase_area": [0.4, 0.1]}}, "received [0.4, 0.1] (Least and most of the image's area"),
    ],
)
def test_an_error_says_what_the_key_means(changes, said):
    with pytest.raises(ConfigError) as error:
        check({"model": {"embedder": "two_stream"}, **changes})
    assert said in str(error.value)


def test_an_error_of_a_section_names_its_keys_itself():
    with pytest.raises(ConfigError, match=r"use optimizer: adamw, received \{'weight_decay': 1\}$"):
        check({"model": {"embedder": "two_stream"}, "train": {"weight_decay": 1}})
