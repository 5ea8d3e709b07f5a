"""What lies beside the versions of a model for TensorFlow Serving: its two files of settings, to be edited."""

from pathlib import Path

from kreid.files.atomic import atomic_file

MODEL = "kreid"  # the name that the server answers by, as in the README's line for Docker

_FILES = {
    "models.config": f"""\
# tensorflow_model_server --model_config_file=/models/{MODEL}/models.config
model_config_list {{
  config {{
    name: "{MODEL}"
    base_path: "/models/{MODEL}"  # this folder, as the server sees it
    model_platform: "tensorflow"
  }}
}}
""",
    "batching.config": """\
# --enable_batching --batching_parameters_file=.../batching.config
# Requests that come at once are put together. Not for the signature `similarity`, whose two inputs are of two lengths.
max_batch_size { value: 32 }
batch_timeout_micros { value: 5000 }
max_enqueued_batches { value: 64 }
num_batch_threads { value: 2 }
""",
}


def write_server_files(out: Path) -> None:
    """Write the files that are not there yet; those that are may have been edited."""
    for name, text in _FILES.items():
        if not (out / name).exists():
            with atomic_file(out / name) as file:
                file.write(text.encode())
