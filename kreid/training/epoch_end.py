"""What the end of an epoch brings: a validation, the weights worth keeping, a row of the log."""

from pathlib import Path

import numpy as np

from kreid import runs
from kreid.config.sections import Config
from kreid.pictures.galleries import PLACES, gallery_picture
from kreid.ranking.ordering import rank
from kreid.training.collapse import CollapseWatch
from kreid.training.log import RunLog
from kreid.training.optimizers import learning_rate
from kreid.training.state import Logs, State
from kreid.training.step import Step
from kreid.training.validation import validate


class EpochEnd:
    """Finishes epochs, on the machine that writes.

    Args:
        config: the resolved configuration.
        step: the network, and the moving average of its weights, where `train.ema` keeps one.
        out: the run folder.
        valid: the record folder to validate on, if any.
        held_out: positions of its images to validate on, where they are training images held out.
    """

    def __init__(self, config: Config, step: Step, out: Path, valid: Path | None, held_out: np.ndarray | None) -> None:
        self.config, self.step, self.out, self.valid, self.held_out = config, step, out, valid, held_out

    def finish(self, state: State, writer: RunLog, collapse: CollapseWatch) -> Logs:
        """Validate, keep the weights, log; return the epoch's figures.

        Args:
            state: at the end of the epoch's training; it takes the best score.
            writer: gets the row.
            collapse: is told how the validation's distances spread.
        """
        logs, picture = state.mean_figures(), None
        with self.step.updater.averaged():
            if valid := self._valid_after(state.epoch):
                scores, picture = self._validate(valid)
                logs |= scores
            if state.keeps(logs.get("valid_mAP")):
                runs.write_weights(self.step.model, self.out)
        collapse.validation(logs.get("valid_spread", 1.0))
        rate = learning_rate(self.config.train, state.epoch - 1 + (state.steps - 1) / state.steps)
        row = {"epoch": state.epoch, "images": state.images, "learning_rate": rate, **logs}
        writer.epoch(row, {"images_per_second": state.images / state.busy}, self.step.model, picture)
        return logs

    def _valid_after(self, epoch: int) -> Path | None:
        """The record folder to validate on after this epoch, if it is one that is validated."""
        settings = self.config.train
        if self.valid is None or (epoch != settings.epochs and epoch % settings.validate_every):
            return None
        return self.valid

    def _validate(self, valid: Path) -> tuple[Logs, np.ndarray | None]:
        """Scores, and a picture of some queries and their best gallery images."""
        settings = self.config.train
        protocol = self.config.evaluation.protocol
        scores, embeddings = validate(self.step.model, valid, settings.validate_actions, self.held_out, protocol)
        if not settings.pictures or self.held_out is not None:
            return scores, None
        ranking = rank(embeddings, protocol=protocol, nearest=PLACES)
        return scores, gallery_picture(ranking, valid, settings.pictures)
