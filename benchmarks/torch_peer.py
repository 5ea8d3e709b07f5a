"""ResNet50 and the paper's two-stream network in PyTorch, which torch_steps.py and gpu.py run beside kreid's.

Written from `torch.nn` blocks under the names of torchvision's and OpenPose's files, so that kreid's networks take
these weights and the outputs can be compared. The sketch is the Fourier form with real transforms.
"""

import torch
from torch import nn
from torch.nn import functional

STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 1))  # filters, blocks, stride
TRUNK = (64, 64, "M", 128, 128, "M", 256, 256, 256, 256, "M", 512, 512, 256, 128)
TRUNK_NAMES = ("1_1", "1_2", "2_1", "2_2", "3_1", "3_2", "3_3", "3_4", "4_1", "4_2", "4_3_CPM", "4_4_CPM")
SLOPES = TRUNK_NAMES.index("4_2")  # from here on, PReLU instead of ReLU


class Normalization(nn.Module):
    """What torchvision's networks take of RGB 0-255."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor([123.675, 116.28, 103.53])[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor([58.395, 57.12, 57.375])[:, None, None], persistent=False)

    def forward(self, images):
        return (images - self.mean) / self.std


class Bottleneck(nn.Module):
    """1x1, 3x3 (with the stride), 1x1 convolutions beside a shortcut."""

    def __init__(self, channels, filters, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, filters, 1, bias=False), nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.conv3, self.bn3 = nn.Conv2d(filters, 4 * filters, 1, bias=False), nn.BatchNorm2d(4 * filters)
        self.downsample = None
        if stride > 1 or channels != 4 * filters:
            shortcut = nn.Conv2d(channels, 4 * filters, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(4 * filters))

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        x = functional.relu(self.bn1(self.conv1(x)))
        x = functional.relu(self.bn2(self.conv2(x)))
        return functional.relu(self.bn3(self.conv3(x)) + shortcut)


class ResNet50(nn.Module):
    """Version 1.5 with last stride 1, from RGB 0-255 to the last map."""

    def __init__(self):
        super().__init__()
        self.normalization = Normalization()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False), nn.BatchNorm2d(64)
        channels = 64
        for number, (filters, blocks, stride) in enumerate(STAGES, start=1):
            strides = [stride] + [1] * (blocks - 1)
            widths = [channels] + [4 * filters] * (blocks - 1)
            stage = [Bottleneck(width, filters, step) for width, step in zip(widths, strides, strict=True)]
            setattr(self, f"layer{number}", nn.Sequential(*stage))
            channels = 4 * filters

    def forward(self, images):
        x = functional.relu(self.bn1(self.conv1(self.normalization(images))))
        x = functional.max_pool2d(x, 3, 2, padding=1)
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


class Body25(nn.Module):
    """OpenPose BODY_25, from RGB 0-255 to the last confidence maps."""

    def __init__(self):
        super().__init__()
        channels, names = 3, iter(TRUNK_NAMES)
        for width in TRUNK:
            if width != "M":
                name = next(names)
                self.add(f"conv{name}", channels, width, 3, slope=TRUNK_NAMES.index(name) >= SLOPES)
                channels = width
        for stage in range(4):
            self.add_stage(f"stage{stage}_L2", 128 if stage == 0 else 128 + 52, 52, first=stage == 0)
        for stage in range(2):
            self.add_stage(f"stage{stage}_L1", 128 + 52 + 26 * stage, 26, first=stage == 0)

    def add(self, name, channels, width, kernel, slope=True):
        self.add_module(name, nn.Conv2d(channels, width, kernel, padding=kernel // 2))
        if slope:
            self.add_module(name.replace("conv", "prelu"), nn.PReLU(width))

    def add_stage(self, stage, channels, maps, first):
        width, hidden = (96, 256) if first else (128, 512)
        for k in range(1, 6):
            for i in range(3):
                self.add(f"Mconv{k}_{stage}_{i}", channels, width, 3)
                channels = width
            channels = 3 * width
        self.add(f"Mconv6_{stage}", channels, hidden, 1)
        self.add(f"Mconv7_{stage}", hidden, maps, 1, slope=False)

    def activated(self, name, x):
        prelu = getattr(self, name.replace("conv", "prelu"), None)
        x = getattr(self, name)(x)
        return functional.relu(x) if prelu is None else prelu(x)

    def stage(self, stage, x):
        for k in range(1, 6):
            outputs = []
            for i in range(3):
                x = self.activated(f"Mconv{k}_{stage}_{i}", x)
                outputs.append(x)
            x = torch.cat(outputs, 1)
        return getattr(self, f"Mconv7_{stage}")(self.activated(f"Mconv6_{stage}", x))

    def forward(self, images):
        x, names = images.flip(1) / 256 - 0.5, iter(TRUNK_NAMES)
        for width in TRUNK:
            x = functional.max_pool2d(x, 2) if width == "M" else self.activated(f"conv{next(names)}", x)
        feature, maps = x, None
        for stage in range(4):
            maps = self.stage(f"stage{stage}_L2", feature if stage == 0 else torch.cat([feature, maps], 1))
        confidence = self.stage("stage0_L1", torch.cat([feature, maps], 1))
        return self.stage("stage1_L1", torch.cat([feature, confidence, maps], 1))


class OneStream(nn.Module):
    """ResNet50, averaged, 512 units: configs/resnet50.yaml."""

    def __init__(self):
        super().__init__()
        self.appearance = ResNet50()
        self.fc = nn.Sequential(nn.Linear(2048, 512), nn.BatchNorm1d(512), nn.ReLU())

    def forward(self, images):
        return functional.normalize(self.fc(self.appearance(images).mean((2, 3))))


class TwoStream(nn.Module):
    """ResNet50 and BODY_25, fused by the sketch of 8192: configs/two_stream.yaml."""

    def __init__(self):
        super().__init__()
        self.appearance, self.part = ResNet50(), Body25()
        generator = torch.Generator().manual_seed(0)
        for number, channels in ((1, 2048), (2, 26)):
            signs = 2.0 * torch.randint(2, (channels,), generator=generator) - 1.0
            self.register_buffer(f"h{number}", torch.randint(8192, (channels,), generator=generator))
            self.register_buffer(f"s{number}", signs)

    def transform(self, x, bins, signs):
        x = x.permute(0, 2, 3, 1) * signs
        return torch.fft.rfft(x.new_zeros((*x.shape[:3], 8192)).index_add(3, bins, x))

    def forward(self, images):
        part = functional.avg_pool2d(self.part(images), 2)
        first = self.transform(self.appearance(images), self.h1, self.s1)
        second = self.transform(part, self.h2, self.s2)
        return functional.normalize(torch.fft.irfft(first * second, n=8192).sum((1, 2)))


NETWORKS = {"resnet50": OneStream, "two_stream": TwoStream}


def batch_hard(embeddings, people, margin=0.3):
    """The triplet loss of each anchor's furthest positive and nearest negative, averaged."""
    distances = torch.cdist(embeddings, embeddings)
    same = people[:, None] == people[None, :]
    furthest = torch.where(same, distances, 0.0).amax(1)
    nearest = torch.where(same, torch.inf, distances).amin(1)
    return functional.relu(furthest - nearest + margin).mean()


class Peer:
    """A network and its training step.

    Args:
        name: key of `NETWORKS`.
        images: (N, H, W, 3), RGB 0-255.
        labels: (N, 2), person and action.
        threads: to compute with, 0 for every core.
        channels_last: keep images and maps in the layout that PyTorch's convolutions prefer on a CPU.
    """

    def __init__(self, name, images, labels, threads=0, channels_last=False):
        if threads:
            torch.set_num_threads(threads)
        torch.manual_seed(0)
        layout = torch.channels_last if channels_last else torch.contiguous_format
        self.model = NETWORKS[name]().to(memory_format=layout)
        self.images = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=layout)
        self.people = torch.from_numpy(labels)[:, 0]
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-5)

    def embeddings(self):
        """What the network, in evaluation, gives for the images."""
        self.model.eval()
        with torch.no_grad():
            result = self.model(self.images).numpy()
        self.model.train()
        return result

    def step(self):
        """Forward, batch-hard triplet loss, backward, Adam; return the loss."""
        self.optimizer.zero_grad()
        loss = batch_hard(self.model(self.images), self.people)
        loss.backward()
        self.optimizer.step()
        return loss.item()
