"""kreid-export: from a run to a file or a folder that other programs run."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kreid.cli.cameras import check_alone
from kreid.cli.common import RunFolder, check_run, load_tensorflow
from kreid.cli.sources import check_labels, check_split
from kreid.errors import ConfigError
from kreid.files.trial import check_folder, check_output
from kreid.serving.formats import FILES, MAX_PIXELS, Format
from tfrecords_tools.console.command import finish, make_app, parse_path, parse_place, run

if TYPE_CHECKING:
    import keras
    import numpy as np

    from kreid.serving.written import Written

app = make_app()
SPLIT = "test"  # of --check


class FormatName(StrEnum):
    """What a network is written to."""

    saved_model = "saved_model"
    onnx = "onnx"
    litert = "litert"
    openvino = "openvino"


class Input(StrEnum):
    """What the written network takes."""

    images = "images"
    tracker = "tracker"


class Precision(StrEnum):
    """What the written network keeps its weights in."""

    float32 = "float32"
    float16 = "float16"
    int8 = "int8"


@app.command()
def export(
    run_folder: RunFolder,
    format_: Annotated[FormatName, typer.Option("--format", help="What to write.")] = FormatName.saved_model,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="File; RUN/model.onnx or alike. saved_model: folder of versions.", parser=parse_path
        ),
    ] = None,
    input_: Annotated[
        Input, typer.Option("--input", help="images: RGB 0-255, NHWC, any size. tracker: normalised, NCHW, fixed size.")
    ] = Input.images,
    precision: Annotated[Precision, typer.Option(help="Of weights; onnx computes in it too.")] = Precision.float32,
    check: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Records: print the mAP that the file costs.", parser=parse_place)
    ] = None,
    split: Annotated[str, typer.Option(help="The split of --check: test or valid.")] = SPLIT,
    max_pixels: Annotated[
        int, typer.Option(min=1, help="saved_model: a larger image is refused before it is decoded.")
    ] = MAX_PIXELS,
) -> None:
    """Write RUN's network for programs that know nothing of kreid; docs/exporting.md says what each takes.

    saved_model: for TensorFlow Serving, into the next version of --out, RUN/serving/1 at first. onnx, litert and
    openvino: one file (and a .bin beside OpenVINO's). Each is held against the network on 32 drawn crops before it has
    its name, and the largest cosine distance is printed.
    """
    check_run(run_folder)
    check_alone(run_folder, f"--format {format_}")
    if max_pixels != MAX_PIXELS and format_ != FormatName.saved_model:
        raise ConfigError(f"--max-pixels: of a saved_model alone; leave it out with --format {format_}")
    records, protocol = _check_records(run_folder, check, split)
    if format_ == FormatName.saved_model:
        model, exported = _export_versions(run_folder, out, input_, precision, max_pixels)
    else:
        model, exported = _export_file(run_folder, out, FILES[format_], input_, precision, records)
    print(f"largest cosine distance from the network on 32 drawn crops: {exported.distance:.1e}")
    if records:
        _print_cost(model, exported, records, split, protocol)
    finish(exported.path)


def _export_versions(
    run_folder: Path, out: Path | None, input_: Input, precision: Precision, max_pixels: int
) -> "tuple[keras.Model, Written]":
    for option, value, only in (("--input", input_, Input.images), ("--precision", precision, Precision.float32)):
        if value != only:
            raise ConfigError(f"{option} {value}: a saved_model is written with {only}; give --format onnx or another")
    from kreid.serving.versions import check_versions

    versions = check_versions(out or run_folder / "serving")
    check_folder(versions)
    load_tensorflow()
    from kreid.runs.about import describe_run
    from kreid.runs.folder import load_model
    from kreid.serving.export import export_version

    model = load_model(run_folder)
    return model, export_version(model, versions, describe_run(run_folder), max_pixels)


def _export_file(
    run_folder: Path, out: Path | None, line: Format, input_: Input, precision: Precision, records: Path | None
) -> "tuple[keras.Model, Written]":
    line.check(precision)
    parts = ["model", *([input_] if input_ != Input.images else []), *([precision] if precision != "float32" else [])]
    path = check_output(out or run_folder / f"{'_'.join(parts)}{line.suffix}")
    line.check_name(path)
    load_tensorflow()
    from kreid.runs.about import describe_run
    from kreid.runs.folder import load_model
    from kreid.serving.export_file import export_file

    model = load_model(run_folder)
    calibration = _calibration(model, records) if precision == Precision.int8 else None
    return model, export_file(model, path, line.name, input_, precision, calibration, describe_run(run_folder))


def _check_records(run_folder: Path, data: Path | None, split: str) -> tuple[Path | None, str | None]:
    """Return the records of --check and how they are scored."""
    if data is None:
        if split != SPLIT:
            raise ConfigError(f"--split {split}: is of --check; give both, or neither")
        return None, None
    records = check_split(data, split, option="--check")
    from kreid.config.sections import PLAIN
    from kreid.runs.folder import load_config_of

    wanted = load_config_of(run_folder).evaluation.protocol
    return records, check_labels(records, PLAIN.model_copy(update={"protocol": wanted}))


def _calibration(model: "keras.Model", records: Path | None) -> "np.ndarray | None":
    """Images of the training set beside the split that is scored, for int8's ranges: None, if there is none."""
    from tfrecords_tools.index import INDEX_NAME

    training = records.parent / "train" if records else None
    if training is None or not (training / INDEX_NAME).is_file():
        return None
    from kreid.data.records import sample_images

    return sample_images(training, model.input_shape[1:3])


def _print_cost(model: "keras.Model", exported: "Written", records: Path, split: str, protocol: str | None) -> None:
    from kreid.evaluation.exported import score_exported
    from tfrecords_tools.console.progress import counted

    with counted("embedding") as progress:
        both = score_exported(model, exported.run, records, progress, protocol)
    before, after = (100 * scores["mAP"] for scores in both)
    named = "" if protocol == "action" else f", protocol {protocol}"
    print(f"{split}{named}: mAP {before:.2f} of the network, {after:.2f} of what was written, {after - before:+.2f}")


def main() -> None:
    """Run the command."""
    run(app)
