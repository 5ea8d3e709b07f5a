"""Train a tiny run in a process of its own: `strategy_run.py CONFIG RECORDS OUT REPLICAS [--resume]`.

On so many logical CPU devices, or with `TF_CONFIG` on so many workers. A process for each, because TensorFlow fixes its
devices when it first computes.
"""

import sys

import tensorflow as tf

from kreid.config.loading import load_config
from kreid.training.run import train
from kreid.training.step import make_strategy
from kreid.training.workers import read_cluster

if __name__ == "__main__":
    config, records, out, replicas = sys.argv[1:5]
    if not read_cluster():
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * int(replicas))
        assert make_strategy().num_replicas_in_sync == int(replicas)
    train(load_config(config), records, out, resume="--resume" in sys.argv, quiet=True)
