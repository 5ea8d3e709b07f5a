"""kreid-train: from records to a run folder."""

from pathlib import Path
from typing import Annotated

import typer

from kreid.cli.cameras import check_trained
from kreid.cli.common import ConfigFile, DataFolder, Overrides, load_tensorflow, logged
from kreid.cli.sources import check_data
from kreid.errors import ConfigError
from kreid.files.trial import check_folder
from tfrecords_tools.console.command import finish, make_app, note, parse_path, run

app = make_app()


@app.command()
def train(
    config: ConfigFile,
    data: DataFolder,
    out: Annotated[Path, typer.Option(metavar="RUN", help="The run folder to make.", parser=parse_path)],
    set_: Overrides = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the newest checkpoint of --out.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print no progress.")] = False,
) -> None:
    """Train the network that CONFIG describes, on every GPU of this machine, or on the CPU where there is none.

    The run folder gets the resolved configuration, the weights (best by validation mAP), log.csv, TensorBoard event
    files, and a checkpoint every epoch, every half hour, and on Ctrl-C or SIGTERM.

    Several machines: start the same command on each, with TF_CONFIG saying which machines there are and which one this
    is; RUN must then be a folder that all of them see.
    """
    from kreid.config.loading import load_config
    from kreid.training.workers import read_cluster

    checked = load_config(config, set_ or [])
    cluster = read_cluster()
    check_data(data)
    check_trained(checked, data)
    _check_out(out, resume)
    if not (cluster and cluster.index):
        check_folder(out)
    load_tensorflow()
    from kreid.training.run import train as train_run

    with logged():
        written = train_run(checked, data, out, resume=resume, quiet=quiet)
    if cluster and cluster.index:
        note(f"done; {cluster.name(0)} wrote the run folder")
    else:
        finish(written)


def _check_out(out: Path, resume: bool) -> None:
    """Say at once what training would say after TensorFlow has loaded."""
    from kreid.runs.folder import CONFIG, check_new

    if not resume:
        check_new(out)
    elif not (out / CONFIG).is_file():
        raise ConfigError(f"--out {out}: nothing to resume, it has no {CONFIG}; leave --resume out to start")


def main() -> None:
    """Run the command."""
    run(app)
