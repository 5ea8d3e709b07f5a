"""Configurations made from others."""

from kreid.config import Config, check


def changed(config: Config, **sections: dict) -> Config:
    """The configuration with some keys of some sections set."""
    tree = config.model_dump(mode="json")
    for section, values in sections.items():
        tree[section].update(values)
    return check(tree)
