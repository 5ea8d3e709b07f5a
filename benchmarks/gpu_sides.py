"""A network of kreid on JAX and its peer in PyTorch, each as benchmarks/gpu.py times it on a card.

Both compute in bfloat16 with weights in float32, on images that lie on the card already; a training step is forward,
the batch-hard triplet loss, backward and Adam, whatever losses and optimiser the configuration has.
"""

import functools
import math
import time

import numpy as np
from models import CONFIGS, RANDOM, draw_batch

NETWORKS = ("resnet50", "osnet", "two_stream", "clip_vit_b16", "clip_vit_l14")
RATE = 1e-5
PATCH = {"clip_vit_l14": 14}  # sides are multiples of it


def image_size(network, size):
    """Height and width for a network: `size`, rounded down to whole patches, as its configuration does."""
    patch = PATCH.get(network, 1)
    return tuple(side // patch * patch for side in size)


class Kreid:
    """The network of configs/<network>.yaml on JAX: compiled at once, nothing computed before `run`.

    Attributes:
        device: name of the card, or `cpu`.
        parameters: that are trained.
        gmacs: 10^9 multiply-accumulates of an image, forward.
    """

    def __init__(self, network, training, batch, size):
        import jax
        import keras

        from kreid.config.loading import load_config
        from kreid.models.cost import cost
        from kreid.models.embedders import build_model

        keras.config.set_dtype_policy("mixed_bfloat16")
        size = image_size(network, size)
        changes = [RANDOM, f"model.image_size={list(size)}"]
        if network in ("resnet50", "two_stream"):
            changes.append("model.appearance.variant=torchvision")  # the peer's form
        self.model = build_model(load_config(CONFIGS / f"{network}.yaml", changes).model, pretrained=False)
        self.card = jax.devices()[0]
        self.device = self.card.device_kind
        self.parameters = sum(math.prod(variable.shape) for variable in self.model.trainable_variables)
        self.gmacs = cost(self.model).gmacs
        images, labels = map(jax.device_put, draw_batch(batch, size))
        values = [variable.value for variable in self.model.trainable_variables]
        others = [variable.value for variable in self.model.non_trainable_variables]
        if training:
            optimizer = keras.optimizers.Adam(RATE)
            optimizer.build(self.model.trainable_variables)
            slots = [variable.value for variable in optimizer.variables]
            self.state, self.inputs = (values, others, slots), (images, labels)
            function = jax.jit(training_step(self.model, optimizer), donate_argnums=0)
        else:
            self.state, self.inputs = (values, others), (images,)
            function = jax.jit(embedding(self.model))
        self.compiled, self.training = function.lower(self.state, *self.inputs).compile(), training

    def run(self, times):
        """Compute so many times; return once the card has."""
        for _ in range(times):
            result = self.compiled(self.state, *self.inputs)
            if self.training:
                self.state, result = result
        result.block_until_ready()

    def peak(self):
        """The most bytes that JAX had on the card; None where it does not tell."""
        return (self.card.memory_stats() or {}).get("peak_bytes_in_use")


def embedding(model):
    """A function of a model's values and images, for JAX to compile."""
    return lambda state, images: model.stateless_call(*state, images, training=False)[0]["embedding"]


def training_step(model, optimizer):
    """A function from a model's and an optimiser's values, images and labels to their next values and the loss."""
    import jax

    from kreid.losses.triplet import TripletLoss

    triplets = TripletLoss(margin=0.3, mining="hard")

    def loss_of(values, others, images, labels):
        outputs, others = model.stateless_call(values, others, images, training=True)
        return triplets(labels, outputs["embedding"]), others

    def step(state, images, labels):
        values, others, slots = state
        (loss, others), gradients = jax.value_and_grad(loss_of, has_aux=True)(values, others, images, labels)
        values, slots = optimizer.stateless_apply(slots, gradients, values)
        return (values, others, slots), loss

    return step


class Peer:
    """The same in PyTorch: `torch.compile` unless `eager`, channels last, autocast; one step has it compiled.

    Attributes:
        device: name of the card, or `cpu`.
        parameters: that are trained.
        gmacs: 10^9 multiply-accumulates of an image, forward.
    """

    def __init__(self, network, training, batch, size, eager=False):
        import torch
        from torch_peer import batch_hard

        self.torch, self.place = torch, "cuda" if torch.cuda.is_available() else "cpu"
        self.device = torch.cuda.get_device_name() if self.place == "cuda" else "cpu"
        torch.set_float32_matmul_precision("high")  # TF32 where autocast leaves float32, as XLA does
        torch.backends.cudnn.benchmark = True
        torch.manual_seed(1)
        size = image_size(network, size)
        model = make_peer(network, size).to(self.place, memory_format=torch.channels_last)
        images, labels = draw_batch(batch, size)
        images = torch.from_numpy(images).to(self.place).permute(0, 3, 1, 2)  # channels last in memory
        people = torch.from_numpy(np.ascontiguousarray(labels[:, 0])).to(self.place)
        self.parameters = sum(values.numel() for values in model.parameters())
        self.gmacs = count_gmacs(model.eval(), images[:1])
        model.train(training)
        autocast = torch.autocast(self.place, torch.bfloat16)

        compiled = functools.partial(torch.compile, dynamic=False, backend="eager" if eager else "inductor")

        @compiled
        def loss_of(images, people):
            with autocast:
                return batch_hard(model(images).float(), people)

        @compiled
        def embed(images):
            with autocast:
                return model(images)

        optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)

        def step():
            optimizer.zero_grad(set_to_none=True)
            loss_of(images, people).backward()
            optimizer.step()

        def forward():
            with torch.inference_mode():
                embed(images)

        self.step = step if training else forward
        self.compile()
        optimizer.zero_grad(set_to_none=True)
        if self.place == "cuda":  # until its turn comes, others compile
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def compile(self, tries=5):
        """Make a step, again where others, which compile as well, have the card's memory at the moment."""
        for left in reversed(range(tries)):
            try:
                return self.run(1)
            except self.torch.OutOfMemoryError:
                if not left:
                    raise
            self.torch.cuda.empty_cache()
            time.sleep(3)
        return None

    def run(self, times):
        """Compute so many times; return once the card has."""
        for _ in range(times):
            self.step()
        if self.place == "cuda":
            self.torch.cuda.synchronize()

    def peak(self):
        """The most bytes that PyTorch had on the card; None on a CPU."""
        return self.torch.cuda.max_memory_allocated() if self.place == "cuda" else None


def make_peer(network, size):
    """The network in PyTorch, from RGB 0-255 (N, 3, h, w) to unit vectors."""
    import torch_peer
    import torch_vit
    from torch import nn
    from torch_osnet import OSNet

    if network == "osnet":
        return nn.Sequential(torch_peer.Normalization(), OSNet())
    if network.startswith("clip_vit_"):
        pooling = "class_token" if network == "clip_vit_l14" else "mean"
        return torch_vit.ClipViT(network.removeprefix("clip_vit_"), size, pooling)
    return torch_peer.NETWORKS[network]()


def count_gmacs(model, image):
    """10^9 multiply-accumulates of a forward pass of one image, by PyTorch's own counter, which sees plain products."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(image)
    return counter.get_total_flops() / 2e9


SIDES = {"kreid": Kreid, "torch": Peer}
