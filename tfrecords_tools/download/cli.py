"""The command kreid-download."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tfrecords_tools import console
from tfrecords_tools.entry import SPLITS
from tfrecords_tools.errors import ConfigError

app = console.make_app()


class Origin(StrEnum):
    """Where archives come from."""

    huggingface = "huggingface"
    exrcsdrive = "exrcsdrive"


@app.command()
def download(
    to: Annotated[
        Path,
        typer.Option(
            "--to", metavar="DIR", parser=console.parse_path, help="Folder for the set; kreid-convert's ROOT."
        ),
    ],
    split: Annotated[
        list[str] | None,
        typer.Option("--split", metavar="SPLIT", help=f"{', '.join(SPLITS)}; may be repeated. Default: all."),
    ] = None,
    source: Annotated[
        Origin,
        typer.Option(metavar="NAME", help="huggingface, or exrcsdrive: SoccerNet's older share, with a password."),
    ] = Origin.huggingface,
    password: Annotated[
        str | None,
        typer.Option(
            metavar="WORD", envvar="SOCCERNET_PASSWORD", help="Of the older share. Default: the one of public data."
        ),
    ] = None,
    server: Annotated[
        str | None, typer.Option(metavar="URL", help="A WebDAV share of your own in place of the older one.")
    ] = None,
) -> None:
    """Download SoccerNet-v3 ReID, after its agreement is signed, and unpack it into DIR/reid.

    Needs the package SoccerNet: pip install 'kreid[soccernet]'. Cut short, the same command goes on; what
    is there is not fetched or unpacked again.

    \b
    kreid-download --to SoccerNet
    kreid-convert SoccerNet records
    """
    wanted = list(dict.fromkeys(split or SPLITS))
    strange = [name for name in wanted if name not in SPLITS]
    if strange:
        raise ConfigError(f"--split: expected names out of {', '.join(SPLITS)}, received {strange[0]!r}")
    if to.exists() and not to.is_dir():
        raise ConfigError(f"--to {to}: a file, expected a folder")
    given = "--password" if password is not None else "--server" if server is not None else ""
    if given and source is Origin.huggingface:
        raise ConfigError(f"{given}: goes with --source exrcsdrive; Hugging Face asks for an account (`hf auth login`)")
    if server is not None and not server.startswith(("http://", "https://")):
        raise ConfigError(f"--server: expected http://HOST/PATH/, received {server!r}")
    from tfrecords_tools.download import soccernet

    known = soccernet.PASSWORD if password is None else password
    console.finish(soccernet.download(wanted, to, source.value, known, server).parent)


def main() -> None:
    """Run the command."""
    console.run(app)
