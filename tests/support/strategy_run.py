"""Processes that train on several devices or workers, only start, or are killed: `Rounds`.

Each is a process of its own, because TensorFlow fixes its devices when it first computes; all are forks of one that has
imported TensorFlow and computed nothing, because the import takes longer than what a tiny run computes.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import lighter
import tensorflow as tf
from forks import fork
from tiny_runs import SHORT_STAGES

from kreid.cli.train import main
from kreid.config.loading import load_config
from kreid.models import resnet
from kreid.runs import checkpoints
from kreid.training.run import train
from kreid.training.step import make_strategy
from kreid.training.workers import read_cluster


class Rounds:
    """Rounds of jobs, those of a round all at a time, carried out while the caller does something else.

    Args:
        rounds: of jobs, each the name of a function below, its arguments, and TF_CONFIG or None.
    """

    def __init__(self, *rounds):
        self._process = subprocess.Popen(
            [sys.executable, __file__, json.dumps(rounds)], stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        self._said = None

    def wait(self):
        """Wait for the end of the last round; every job must have ended as it should."""
        if self._said is None:
            self._said = self._process.communicate(timeout=500)[1]
        assert self._process.returncode == 0, self._said[-3000:]

    def stop(self):
        """End what is still at work."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.communicate()


def train_run(config, records, out, replicas, resume=False):
    """Train on so many logical CPU devices, or on the workers of TF_CONFIG."""
    if not read_cluster():
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * replicas)
        assert make_strategy().num_replicas_in_sync == replicas
    train(load_config(config), records, out, resume=resume, quiet=True)


def train_killed(config, records, out, state):
    """`kreid-train`, killed once it has written this state or a later one, in the middle of whatever it does then."""

    def kill():
        while not (newest := checkpoints.newest(Path(out) / "checkpoints")) or newest.stem < state:
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()
    sys.argv = ["kreid-train", config, "--data", records, "--out", out, "--quiet"]
    main()


def start(said):
    """Start TensorFlow with the workers of TF_CONFIG within three seconds, and write down why it does not."""
    try:
        make_strategy(0.05)
    except ValueError as error:
        Path(said).write_text(str(error), encoding="utf-8")


_JOBS = {job.__name__: job for job in (train_run, train_killed, start)}


def _do(name, arguments, cluster):
    """Do a job where TensorFlow reads TF_CONFIG, if there is one."""
    if cluster:
        os.environ["TF_CONFIG"] = json.dumps(cluster)
    _JOBS[name](*arguments)


if __name__ == "__main__":
    resnet.STAGES = SHORT_STAGES  # as the caller's, under the fixture `short_resnet`
    lighter.lighten()
    for jobs in json.loads(sys.argv[1]):
        running = {fork(_do, *job): job[0] for job in jobs}
        while running:
            number, status = os.wait()
            name, code = running.pop(number), os.waitstatus_to_exitcode(status)
            if code != (-signal.SIGKILL if name == "train_killed" else 0):
                for other in running:
                    os.kill(other, signal.SIGKILL)
                sys.exit(f"process {number}, {name}, ended with {code}")
