"""The command kreid-convert check."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from tfrecords_tools import console

app = console.make_app()
_SHOWN = 1000  # problems that are listed


@app.callback()
def convert() -> None:
    """Convert images to TFRecords (`kreid-convert --help`), or check what was converted."""


@app.command()
def check(
    out: Annotated[
        Path, typer.Argument(parser=console.parse_place, metavar="OUT", help="Folder that kreid-convert wrote.")
    ],
) -> None:
    """Read everything back that kreid-convert wrote, and list what is wrong; exit code 1 if anything is.

    Checksums, fields and images of every record, counts, sizes that names say, people in two actions
    or two splits, queries without a match, splits of which nothing can be scored.

    A folder of images that is called "check" is converted by `kreid-convert ./check OUT`.
    """
    from tfrecords_tools.index import read_info

    read_info(out)  # complains at once
    from tfrecords_tools.console.progress import Bars
    from tfrecords_tools.console.tensorflow import quiet

    with quiet():
        from tfrecords_tools.check import check_records

    with Bars(shown=True) as bars:

        def advance(split: str, records: int) -> Callable[[], None]:
            return partial(bars.advance, bars.add(split, records))

        found = check_records(out, advance)
    for problem in found.problems[:_SHOWN]:
        console.note(problem)
    if found.problems:
        more = f", the first {_SHOWN:,} of which are listed" if len(found.problems) > _SHOWN else ""
        raise ValueError(f"{out}: {len(found.problems):,} problems{more}")
    console.note(", ".join(f"{split}: {images:,} images" for split, images in found.images.items()) + ": nothing wrong")
    console.finish(out)
