"""What is said of a training that fails."""


def first_line(error: Exception) -> str:
    """What TensorFlow says, without its notes."""
    return str(error).splitlines()[0].rpartition("}} ")[2][:200]
