"""The errors of kreid's own."""

from tfrecords_tools.errors import ConfigError

__all__ = ["ConfigError", "DivergedError"]


class DivergedError(ValueError):
    """A training whose loss or gradient is not finite: its configuration is at fault, not its data or machine."""
