"""Configurations made from others."""

from kreid.config.loading import check
from kreid.config.sections import Config

# Every change of training images but the flip, which is on by default.
EVERYTHING = {"hue": 0.1, "saturation": 0.5, "contrast": 0.3, "brightness": 0.3, "crop_padding": 3, "erase": 0.5}


def changed(config: Config, **sections: dict) -> Config:
    """The configuration with some keys of some sections set."""
    tree = config.model_dump(mode="json")
    for section, values in sections.items():
        tree[section].update(values)
    return check(tree)
