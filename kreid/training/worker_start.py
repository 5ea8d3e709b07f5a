"""TensorFlow's own start on several machines: how long it may take, and what is said where it fails.

By itself TensorFlow waits an hour for a worker that ended after the workers met, and obeys no Ctrl-C meanwhile.
"""

import contextlib
import re
from collections.abc import Iterator

import tensorflow as tf
from tensorflow.python.eager import context  # private: nothing public bounds the wait

from kreid.training.failures import first_line
from kreid.training.workers import Cluster

_LATER = 10  # seconds by which worker 0 is the first to give up, since it alone knows who is missing


def start_together(cluster: Cluster, minutes: float) -> tf.distribute.Strategy:
    """Start TensorFlow on this worker and wait for it on the others.

    Args:
        cluster: what `TF_CONFIG` says.
        minutes: how long to wait.

    Raises:
        ValueError: where it cannot start here, or did not start on another worker in time, which is named.
    """
    tasks = _bound(60 * minutes + (_LATER if cluster.index else 0))
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except tf.errors.OpError as error:
        reason = _reason(cluster, tasks, error, minutes)
    raise ValueError(reason)  # out here: what TensorFlow had begun has ended, and said its own, with `error`


def _reason(cluster: Cluster, tasks: list[str], error: tf.errors.OpError, minutes: float) -> str:
    late = re.search(r"timed out task names:\n((?:/job:\S+\n?)+)", str(error))
    missing = [cluster.name(tasks.index(task)) for task in late[1].split()] if late else []
    if isinstance(error, tf.errors.DeadlineExceededError) and not late:
        missing = [cluster.name(0)]  # the one that would have named others
    if missing:
        return (
            f"{', '.join(missing)} met the others but did not start TensorFlow within {minutes:g} minutes; look at "
            "what was said there, and start all workers again"
        )
    return (
        f"{cluster.name(cluster.index)}: TensorFlow cannot start ({first_line(error)}); see that nothing else uses the "
        "ports of TF_CONFIG, and start all workers again"
    )


@contextlib.contextmanager
def lost_workers(cluster: Cluster | None) -> Iterator[None]:
    """Say that another worker ended before the first batch, where TensorFlow fails for that.

    Raises:
        ValueError: where it does.
    """
    try:
        yield
    except tf.errors.OpError as error:
        if not cluster or isinstance(error, tf.errors.ResourceExhaustedError):
            raise
        raise ValueError(
            f"another worker was lost before the first batch ({first_line(error)}); look at what was said there, and "
            "start all workers again"
        ) from None


def _bound(seconds: float) -> list[str]:
    """Let TensorFlow's start last so long at most; return its names of the workers, in the order of `Cluster`."""
    spec = tf.distribute.cluster_resolver.TFConfigClusterResolver().cluster_spec()
    counts = {job: spec.num_tasks(job) for job in ("chief", "worker") if job in spec.jobs}
    tasks = [f"/job:{job}/replica:0/task:{number}" for job, count in counts.items() for number in range(count)]
    context.context().configure_coordination_service(
        service_type="standalone", service_leader=tasks[0], cluster_register_timeout_in_ms=round(1000 * seconds)
    )
    settings = context.context().coordination_service
    settings.cluster_register_with_barrier = True  # else worker 0 waits on without the others, and that for an hour
    for job, count in counts.items():
        settings.coordinated_job_list.add(name=job, num_tasks=count)
    return tasks
