"""The errors of kreid's own."""


class ConfigError(ValueError):
    """A configuration that cannot be carried out: commands end with exit code 2, where another ValueError means 1."""


class DivergedError(ValueError):
    """A training whose loss or gradient is not finite: its configuration is at fault, not its data or machine."""
