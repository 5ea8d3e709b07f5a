"""Settings and fixtures that all tests share."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # the suite is for the CPU, and equal everywhere

import keras
import pytest


@pytest.fixture(autouse=True)
def _fresh_keras():
    """Every test starts from one seed and without the graph state of the one before."""
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(0)
