"""The one error of kreid's own."""


class ConfigError(ValueError):
    """A configuration that cannot be carried out: commands end with exit code 2, where another ValueError means 1."""
