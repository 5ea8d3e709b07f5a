"""kreid-tune: from records and a space of configurations to the best of them."""

import importlib.util
import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from kreid.cli.common import ConfigFile, DataFolder, Overrides, logged
from kreid.cli.sources import check_data
from kreid.errors import ConfigError
from kreid.files.trial import check_folder
from tfrecords_tools.console.command import finish, make_app, parse_path, run

app = make_app()


class Objective(StrEnum):
    """What trials are compared by."""

    mAP = "mAP"
    rank1 = "rank1"


@app.command()
def tune(
    config: ConfigFile,
    data: DataFolder,
    space: Annotated[
        Path,
        typer.Option(metavar="FILE", help="What to try: a YAML file, or the name layerwise.", parser=parse_path),
    ],
    out: Annotated[
        Path, typer.Option(metavar="STUDY", help="The study's folder, to make or to go on with.", parser=parse_path)
    ],
    folds: Annotated[int, typer.Option(metavar="K", min=2, help="Parts of the training actions.")] = 5,
    trials: Annotated[int, typer.Option(metavar="N", min=1, help="Trials that STUDY is to have in all.")] = 20,
    objective: Annotated[Objective, typer.Option(help="What trials are compared by.")] = Objective.mAP,
    pruning: Annotated[
        bool, typer.Option("--pruning/--no-pruning", help="Stop trials between folds that fall behind the median.")
    ] = True,
    set_: Overrides = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print no progress.")] = False,
) -> None:
    """Choose values of CONFIG's keys by K-fold cross-validation on the training actions; no game is in two folds.

    Each trial trains K models. STUDY gets the trials' store (study.db), a table (trials.md, trials.csv) and best.yaml,
    a configuration for kreid-train. Run the same command again to go on after a stop or an error, or several times at
    once to share the trials.
    """
    if importlib.util.find_spec("optuna") is None:
        raise ConfigError("kreid-tune needs Optuna, which is not installed: pip install 'kreid[tune]'")
    check_data(data)
    check_folder(out)
    from kreid.tuning.search import TABLE
    from kreid.tuning.search import tune as search
    from kreid.tuning.space import read_space

    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    checked = read_space(space, config, set_ or [])
    with logged(once=True):  # each fold has the same to say
        best = search(checked, data, out, folds, trials, objective.value, pruning, quiet, command)
    print((out / TABLE).read_text(encoding="utf-8").rstrip())
    finish(best)


def main() -> None:
    """Run the command."""
    run(app)
