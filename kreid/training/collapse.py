"""A network that gives all images the same embedding, which no loss recovers from: noticed, and said once."""

import logging

log = logging.getLogger(__name__)

_COLLAPSED = 0.01  # standard deviation of distances between unit vectors, below which they are all alike
_MEMORY = 0.9  # of its mean over the batches: one batch, or the first one of a random start, says little


class CollapseWatch:
    """Watches how far the distances of a run spread.

    Args:
        active: say anything at all; false on all machines but one.
    """

    def __init__(self, active: bool = True) -> None:
        self.active = active
        self._spread, self._said = 1.0, False

    def batch(self, spread: float) -> None:
        """A step was done, with this standard deviation of the batch's distances."""
        self._spread = _MEMORY * self._spread + (1 - _MEMORY) * spread
        self._notice(self._spread)

    def validation(self, spread: float) -> None:
        """An epoch was validated, with this standard deviation of all ranked distances."""
        self._notice(spread)

    def _notice(self, spread: float) -> None:
        if self.active and not self._said and spread < _COLLAPSED:
            log.warning(
                "the embedding has collapsed: all distances are alike, to %.4f; lower train.learning_rate, or begin "
                "with loss.mining: all",
                spread,
            )
            self._said = True
