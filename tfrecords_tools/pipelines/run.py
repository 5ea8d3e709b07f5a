"""Numbered pieces of work, done by a runner of Apache Beam in any order and on any machine."""

import contextlib
import io
from collections.abc import Callable, Iterator, Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import create_runner

from tfrecords_tools.errors import ConfigError, one_line
from tfrecords_tools.pipelines.addresses import UnreachableError


def check_runner(runner: str, options: Sequence[str]) -> PipelineOptions:
    """Return what a pipeline is run with.

    Args:
        runner: as Beam calls it: DirectRunner, DataflowRunner, FlinkRunner, SparkRunner, ...
        options: the runner's own, such as `--project=p`.

    Raises:
        ConfigError: where Beam knows no such runner, or an option that it knows has a wrong value.
    """
    strange = [option for option in options if not option.startswith("--") and "=" in option]
    if strange:
        raise ConfigError(f"--: expected options of the runner, such as --project=NAME, received {strange[0]!r}")
    try:
        create_runner(runner)
        told = PipelineOptions([f"--runner={runner}", *options])
        with contextlib.redirect_stderr(io.StringIO()):  # argparse says it in many lines
            told.get_all_options()
        return told
    except (ValueError, ImportError) as error:
        raise ConfigError(f"--runner {runner}: {one_line(error)}") from None
    except SystemExit:
        raise ConfigError(f"--runner {runner}: Beam does not take {' '.join(options)}") from None


def run_each(work: Callable[[int], None], count: int, options: PipelineOptions) -> None:
    """Call `work` with every number below `count`, once or more: a runner tries again what failed.

    Args:
        work: an object that can be pickled; it leaves what it has done in files.
        count: pieces of work.
        options: see `check_runner`.

    Raises:
        ValueError: where a file cannot be reached.
    """
    try:
        with beam.Pipeline(options=options) as pipeline:
            numbers = pipeline | beam.Create([count]) | beam.FlatMap(_below)
            _ = numbers | beam.Reshuffle() | beam.Map(work)
    except UnreachableError as error:  # and so it was when the runner tried again
        raise ValueError(one_line(error, 400)) from None


def _below(count: int) -> Iterator[int]:
    yield from range(count)
