"""Records at an address: copied to the file system in memory that TensorFlow has for tests."""

from itertools import count

_NUMBER = count()


def upload(folder):
    """Copy a folder; returns its address, which no other call gives."""
    import tensorflow as tf

    address = f"ram://bucket/{next(_NUMBER)}/{folder.name}"
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with tf.io.gfile.GFile(f"{address}/{path.relative_to(folder).as_posix()}", "wb") as file:
                file.write(path.read_bytes())
    return address
