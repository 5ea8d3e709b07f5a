"""The options of commands that a runner of Apache Beam can do the work of: `COMMAND ... --runner NAME -- OPTIONS`."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from tfrecords_tools.errors import ConfigError
from tfrecords_tools.remote import RemotePath

Runner = Annotated[
    str | None,
    typer.Option(
        "--runner",
        metavar="NAME",
        help="Let a runner of Apache Beam do it: DirectRunner, DataflowRunner, FlinkRunner, SparkRunner, ... Folders "
        "may then be addresses, such as gs://BUCKET/records. Needs pip install 'kreid[beam]'.",
    ),
]
RunnerOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--runner-option",
        metavar="OPTION",
        help="An option of the runner, as it spells it; what stands after -- are such options.",
    ),
]


class RunnerCommand(TyperCommand):
    """A command that hands what stands after `--` to its runner, where one is asked for."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Write it as `--runner-option`."""
        if "--" in args:
            place = args.index("--")
            if any(re.match("--runner(=|$)", word) for word in args[:place]):
                args = args[:place] + [f"--runner-option={word}" for word in args[place + 1 :]]
        return super().parse_args(ctx, args)


def check_addresses(runner: str | None, options: list[str] | None, **paths: Path) -> None:
    """Complain of what needs a runner and of options of none.

    Args:
        runner: of `--runner`.
        options: of the runner.
        paths: what may be an address with a runner alone, by name.

    Raises:
        ConfigError: naming it.
    """
    if runner is not None:
        return
    if options:
        raise ConfigError(f"--runner-option {options[0]}: goes with --runner")
    for name, path in paths.items():
        if isinstance(path, RemotePath):
            raise ConfigError(f"{name} {path}: an address is read and written with --runner alone")


def load_pipelines(runner: str, options: list[str] | None) -> Any:
    """Return what the runner is given.

    Raises:
        ConfigError: where Apache Beam is not installed, or does not know the runner.
    """
    try:
        from tfrecords_tools.pipelines.run import check_runner
    except ImportError as error:
        raise ConfigError(f"--runner {runner}: needs Apache Beam ({error}); pip install 'kreid[beam]'") from None
    return check_runner(runner, options or [])
