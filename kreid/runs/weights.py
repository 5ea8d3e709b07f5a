"""The weights of a run, and a digest beside them that tells whether they are what was written.

`model.weights.sha256` has the format of `sha256sum`, so that `sha256sum --check` works. While the weights are replaced
it holds a line for the old ones and one for the new: whenever the process ends, one of them is of the file that is
there. Runs of earlier versions have none, and whoever edits weights may delete it or write it anew.
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from kreid.files.atomic import atomic_file

if TYPE_CHECKING:
    import keras

WEIGHTS = "model.weights.h5"
DIGEST = "model.weights.sha256"


def write_weights(model: "keras.Model", run: str | Path) -> None:
    """Write the weights of a model into a run folder, with their digest; whole or not at all.

    Raises:
        OSError: where they cannot be written, as on a full disk; what stood there stays.
    """
    from kreid.weights.memory import to_bytes

    run = Path(run)
    content = to_bytes(model)
    digest = hashlib.sha256(content).hexdigest()
    before = _digests(run)
    if before is None:
        before = [weights_digest(run)] if (run / WEIGHTS).is_file() else []
    _write_digests(run, [*before, digest])
    with atomic_file(run / WEIGHTS) as file:
        file.write(content)
    _write_digests(run, [digest])


def read_weights(run: str | Path) -> bytes:
    """Read the file of a run's weights, and hold it against its digest.

    Raises:
        ValueError: where there is none, or it is not what was written.
        OSError: where it cannot be read.
    """
    run = Path(run)
    before = _digests(run)
    content = _existing(run).read_bytes()
    after = _digests(run)  # once more: a training that goes on may have replaced both in between
    if before is None or after is None:
        return content
    digest = hashlib.sha256(content).hexdigest()
    if digest not in {*before, *after}:
        raise ValueError(
            f"{run / WEIGHTS}: not what was written, {DIGEST} beside it expected a SHA-256 of {(after or ['none'])[-1]}"
            f" and received {digest}; restore a copy, or train again. After a change on purpose, run "
            f"`sha256sum {WEIGHTS} > {DIGEST}` in the folder, or delete {DIGEST}"
        )
    return content


def weights_digest(run: str | Path) -> str:
    """The SHA-256 of a run's weights: whether figures are of the weights that are there.

    Raises:
        ValueError: where there are none.
    """
    with _existing(Path(run)).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _existing(run: Path) -> Path:
    if not (run / WEIGHTS).is_file():
        raise ValueError(
            f"{run}: no {WEIGHTS}; wait for the first epoch, or go on training (kreid-train --resume); restore a copy "
            "if it was there"
        )
    return run / WEIGHTS


def _digests(run: Path) -> list[str] | None:
    """The digests that a run's weights may have; None where nothing tells."""
    try:
        text = (run / DIGEST).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    return [line.split()[0].lower() for line in text.splitlines() if line.strip()]


def _write_digests(run: Path, digests: list[str]) -> None:
    with atomic_file(run / DIGEST) as file:
        file.write("".join(f"{digest}  {WEIGHTS}\n" for digest in dict.fromkeys(digests)).encode())
