"""Train a tiny run on so many logical CPU devices and save its weights: `strategy_run.py CONFIG RECORDS OUT DEVICES`.

A process of its own for each, because TensorFlow fixes its devices when it first computes.
"""

import sys

import numpy as np
import tensorflow as tf

from kreid.baselines import untrained
from kreid.config import load_config
from kreid.runs import load_model
from kreid.training import make_strategy, train

if __name__ == "__main__":
    config, records, out, devices = sys.argv[1:]
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * int(devices))
    assert make_strategy().num_replicas_in_sync == int(devices)
    train(load_config(config), records, out, quiet=True)
    for name, model in (("before", untrained(out)), ("after", load_model(out))):
        np.savez(f"{out}/{name}.npz", *[np.asarray(variable) for variable in model.variables])
