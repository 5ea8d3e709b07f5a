"""A file system of Beam's, `toy://`, that lies in a folder of this machine: what stands for `gs://` in tests."""

from pathlib import Path

from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.localfilesystem import LocalFileSystem

SCHEME = "toy://"


class ToyFileSystem(LocalFileSystem):
    """Beam finds it by its scheme; `root` is the folder, `broken` the ends of names that cannot be opened."""

    root = Path("/nowhere")
    broken = ()

    @classmethod
    def scheme(cls):
        return "toy"

    def _here(self, address):
        return str(self.root / address.removeprefix(SCHEME))

    def open(self, path, mime_type="", compression_type=None):
        if path.endswith(tuple(self.broken)):
            raise BeamIOError("no connection")
        return super().open(self._here(path), mime_type, compression_type)

    def create(self, path, mime_type="", compression_type=None):
        return super().create(self._here(path), mime_type, compression_type)

    def exists(self, path):
        return super().exists(self._here(path))

    def delete(self, paths):
        super().delete([self._here(path) for path in paths])

    def split(self, path):
        head, _, tail = path.rpartition("/")
        return head, tail

    def _list(self, dir_or_prefix):
        for found in super()._list(self._here(dir_or_prefix)):
            found.path = SCHEME + str(Path(found.path).relative_to(self.root))
            yield found
