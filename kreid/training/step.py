"""One training step, the same on one device, on all GPUs of a machine and on several machines."""

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf
from keras import ops

from kreid.config.sections import Config
from kreid.errors import ConfigError
from kreid.losses.objective import build_losses
from kreid.losses.pairs import pairwise_distances
from kreid.losses.triplet import triplet_statistics
from kreid.models.embedders import build_model
from kreid.training.layer_groups import set_frozen
from kreid.training.remat import rematerialized
from kreid.training.state import Logs
from kreid.training.updater import Updater, Values
from kreid.training.worker_start import start_together
from kreid.training.workers import read_cluster
from kreid.types import Tensor


def make_strategy(minutes: float = 10.0) -> tf.distribute.Strategy:
    """Every GPU of this machine, every worker of `TF_CONFIG`, or the one device there is.

    Without GPUs, several logical CPU devices (`tf.config.set_logical_device_configuration`) stand for them.

    Args:
        minutes: how long TensorFlow may wait for the other workers.

    Raises:
        ValueError: where it cannot start on this machine, or another worker does not start.
    """
    if cluster := read_cluster():
        return start_together(cluster, minutes)
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if len(devices) > 1 or devices[0].device_type == "GPU":
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    return tf.distribute.get_strategy()


def check_devices(config: Config, strategy: tf.distribute.Strategy) -> None:
    """Complain where the devices cannot do what the configuration says.

    Raises:
        ConfigError: where they cannot share a batch equally, or compile it.
    """
    size, replicas = config.data.persons * config.data.views, strategy.num_replicas_in_sync
    if size % replicas:
        raise ConfigError(
            f"data.persons x data.views is {size} images a batch, which {replicas} devices cannot share equally; "
            f"choose a multiple of {replicas}"
        )
    if config.train.xla and replicas > 1:
        raise ConfigError(f"train.xla: TensorFlow compiles for one device only, and here are {replicas}; leave it out")


class Step:
    """Model, losses and optimiser of a run, and the function from a batch to new weights and figures.

    Args:
        config: the resolved configuration.
        strategy: where to compute.
        pretrained: load the weights that the configuration names; false where a state follows.

    Attributes:
        model: the network.
        updater: the optimiser.
        losses: one a trained output.
    """

    def __init__(self, config: Config, strategy: tf.distribute.Strategy, pretrained: bool = True) -> None:
        self.config, self.strategy = config, strategy
        with strategy.scope():
            with _precision(config.train.precision):
                self.model = build_model(config.model, pretrained)
            if strategy.num_replicas_in_sync > 1:
                _synchronize_batch_norm(self.model)
            self.losses = build_losses(config.loss, self.model.output)
            self.updater = Updater(config.train, self.model, self.loss_variables)
            self._forward = rematerialized(self.model) if config.train.remat else self._plain
        self._frozen: bool | None = None

    @property
    def loss_variables(self) -> list[keras.Variable]:
        """What the losses learn themselves, beside the model."""
        return [variable for loss in self.losses.values() for variable in loss.trainable_variables]

    @property
    def variables(self) -> list[keras.Variable]:
        """Everything that a resumed run needs."""
        return [*self.model.variables, *self.loss_variables, *self.updater.variables]

    def start_epoch(self, epoch: int) -> None:
        """Freeze layers, or let them learn, as `train.freeze` says for this epoch (from 0)."""
        settings = self.config.train
        frozen = bool(settings.freeze) and (settings.freeze_epochs is None or epoch < settings.freeze_epochs)
        if frozen != self._frozen:
            set_frozen(self.model, settings.freeze, frozen)
            self._frozen = frozen
            # Nothing here branches on a tensor; AutoGraph would still rewrite every function it meets, for seconds.
            plain = {"autograph": False}
            self._compute = tf.function(self._gradients, jit_compile=True, **plain) if settings.xla else self._gradients
            self._run = tf.function(self._distributed, reduce_retracing=True, **plain)

    def __call__(self, images: Values, labels: Values, stop: bool = False) -> Logs:
        """Learn from a batch of the strategy's dataset; return the figures of the whole batch.

        They are the `loss`, those of its outputs (`loss_<output>`), `triplet_statistics`, `spread`, whether the
        gradient is `finite` (with one that is not, nothing was learnt), under float16 the `loss_scale`, and whether any
        machine gave `stop`.
        """
        figures = self._run(images, labels, tf.constant(float(stop)))
        return {name: float(value) for name, value in figures.items()}

    def wait(self) -> None:
        """Return once every machine has come as far."""

        def one() -> Tensor:
            return tf.distribute.get_replica_context().all_reduce("SUM", tf.ones(()))

        tf.function(lambda: self.strategy.run(one), autograph=False)()

    def _distributed(self, images: Values, labels: Values, stop: Tensor) -> dict[str, Tensor]:
        logs, gradients = self.strategy.run(self._replica, args=(images, labels, stop))
        logs = {name: self.strategy.experimental_local_results(value)[0] for name, value in logs.items()}
        logs["finite"] = self.updater.apply(gradients, self._learning)
        if self.updater.scale is not None:
            logs["loss_scale"] = tf.convert_to_tensor(self.updater.scale)
        return logs

    def _replica(self, images: Tensor, labels: Tensor, stop: Tensor) -> tuple[dict[str, Tensor], list[Tensor]]:
        """Figures and gradients of the whole batch, alike on every replica."""
        logs, gradients = self._compute(images, labels)
        logs["stop"] = stop
        context = tf.distribute.get_replica_context()
        if context.num_replicas_in_sync > 1:
            gradients = context.all_reduce("SUM", gradients)
            logs = dict(zip(logs, tf.unstack(context.all_reduce("SUM", tf.stack(list(logs.values())))), strict=True))
        return logs, gradients

    def _gradients(self, images: Tensor, labels: Tensor) -> tuple[dict[str, Tensor], list[Tensor]]:
        """What adds up over the replicas to the figures and gradients of the whole batch."""
        with tf.GradientTape() as tape:
            outputs = self._forward(images)
            # Mining needs the whole batch: compare every image with those of the other replicas too. Each replica then
            # has the whole loss; Keras divides it by their number, and the gradient of the gathering adds it up again.
            everything = {name: _gather(outputs[name]) for name in self.losses if name != "logits"}
            all_labels = _gather(labels)
            terms = {
                name: loss(all_labels, everything[name]) if name in everything else loss(labels, outputs[name])
                for name, loss in self.losses.items()
            }
            total = sum(terms.values())
            scaled = self.updater.scale_loss(total)
        variables = [*self.model.trainable_variables, *self.loss_variables]
        found = list(zip(tape.gradient(scaled, variables), variables, strict=True))
        self._learning = [variable for gradient, variable in found if gradient is not None]
        logs = {"loss": total}
        if len(terms) > 1:
            logs |= {f"loss_{name}": value for name, value in terms.items()}
        ranked = everything.get("final", everything.get("embedding"))
        if ranked is not None:
            logs |= self._statistics(all_labels, ranked)
        # That of cameras' vectors comes as rows, which machines would gather to add up, and cannot: see `_gather`.
        return logs, [tf.convert_to_tensor(gradient) for gradient, _ in found if gradient is not None]

    def _plain(self, images: Tensor) -> dict[str, Tensor]:
        return self.model(images, training=True)

    def _statistics(self, labels: Tensor, vectors: Tensor) -> dict[str, Tensor]:
        loss = self.config.loss
        figures = triplet_statistics(labels, vectors, loss.margin if loss.margin != "soft" else 0.0, loss.same_action)
        figures["spread"] = _spread(vectors)
        for name in {"final", "embedding"} & self.losses.keys():  # one of them at most is trained
            figures |= self.losses[name].figures()
        return {name: value / self.strategy.num_replicas_in_sync for name, value in figures.items()}


def _gather(values: Tensor) -> Tensor:
    """The values of all replicas, in order; gradients flow back to each."""
    context = tf.distribute.get_replica_context()
    replicas, number = context.num_replicas_in_sync, context.replica_id_in_sync_group
    if replicas == 1:
        return values
    # The sum of what each replica puts at its own place: `all_gather` fails on several machines without GPUs.
    places = tf.one_hot(number, replicas, dtype=values.dtype)  # (R,)
    own = tf.reshape(places, (-1, *[1] * len(values.shape))) * values[None]  # (R, N, ...)
    return context.all_reduce("SUM", tf.reshape(own, (replicas * values.shape[0], *values.shape[1:])))


def _spread(vectors: Tensor) -> Tensor:
    """Standard deviation of all distances in the batch: near 0, all are alike."""
    distances = pairwise_distances(vectors, vectors)
    others = 1.0 - ops.eye(distances.shape[0])
    mean = ops.sum(others * distances) / ops.sum(others)
    variance = ops.sum(others * ops.square(distances - mean)) / ops.sum(others)
    return ops.sqrt(variance)


@contextlib.contextmanager
def _precision(policy: str) -> Iterator[None]:
    """Build layers that compute so; their weights stay float32."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _synchronize_batch_norm(model: keras.Model) -> None:
    """Let batch normalisation use the whole batch, as on one device."""
    for layer in model._flatten_layers():  # those inside the streams too, which nothing public lists
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True
