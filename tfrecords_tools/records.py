"""TFRecord files that know where their records lie."""

from pathlib import Path
from types import TracebackType
from typing import Self

import tensorflow as tf

from tfrecords_tools.index import FOOTER, HEADER


class RecordFile:
    """An uncompressed TFRecord file being written.

    Args:
        path: the file, which must not exist.

    Attributes:
        size: bytes written so far.

    Raises:
        OSError: from any method, naming the file, if it cannot be written (a full disk, for example).

    Example:
        >>> with RecordFile(Path("train-00000-of-00001.tfrecord")) as file:
        ...     offset = file.write(record)
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        try:
            self._writer = tf.io.TFRecordWriter(str(path))
        except tf.errors.OpError as error:
            raise self._failure(error) from error

    def write(self, record: bytes) -> int:
        """Append a record and return where its payload begins, in bytes from the start of the file."""
        try:
            self._writer.write(record)
        except tf.errors.OpError as error:
            raise self._failure(error) from error
        offset = self.size + HEADER
        self.size = offset + len(record) + FOOTER
        return offset

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._writer.close()
        except tf.errors.OpError as failure:
            if error is None:
                raise self._failure(failure) from failure
        if error is None and self.path.stat().st_size != self.size:
            raise OSError(
                f"{self.path}: {self.path.stat().st_size} bytes on disk, {self.size} written; is the disk full?"
            )

    def _failure(self, error: tf.errors.OpError) -> OSError:
        # TensorFlow's message is "<path>; <reason>".
        return OSError(f"{self.path}: cannot be written, {error.message.rpartition('; ')[2]}")
