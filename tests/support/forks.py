"""Jobs in forks of a process that has imported TensorFlow, because the import takes longer than what they do."""

import os
import sys


def fork(job, *arguments):
    """A process that does one job and ends, with 1 where the job raises; returns its number.

    A job returns its exit code, or None.
    """
    if number := os.fork():
        return number
    code = 1
    try:
        code = job(*arguments) or 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(code)
