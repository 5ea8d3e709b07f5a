import os
import subprocess
import sys

import pytest

from tfrecords_tools.console.tensorflow import quiet

NOISE = b"I0000 00:00:17 9865 cudart_stub.cc:31] Could not find cuda drivers on your machine, GPU will not be used.\n"


def test_noise_is_dropped_and_other_lines_are_kept(capfd):
    with quiet():
        os.write(2, NOISE + b"W0000 gpu_device.cc:1] Cannot dlopen some GPU libraries\n" + NOISE)
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "W0000 gpu_device.cc:1] Cannot dlopen some GPU libraries\nafter\n"


def test_lines_are_kept_when_the_block_fails(capfd):
    def fail():
        os.write(2, b"why it stops\n" + NOISE)
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"), quiet():
        fail()
    assert capfd.readouterr().err == "why it stops\n"


def test_closed_standard_error_is_no_obstacle():
    code = "import os; os.close(2)\nfrom tfrecords_tools.console.tensorflow import quiet\nwith quiet(): print('inside')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "inside\n"
