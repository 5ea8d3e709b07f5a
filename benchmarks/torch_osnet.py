"""OSNet x1.0 in PyTorch, which benchmarks/inference.py and gpu.py run beside kreid's exports and network.

Written from `torch.nn` blocks after Zhou et al., arXiv 1905.00953, under the names of torchreid's files, so that
kreid's network takes these weights and the embeddings can be compared.
"""

import torch
from torch import nn

CHANNELS = (64, 256, 384, 512)
STREAMS = {"conv2a": 1, "conv2b": 2, "conv2c": 3, "conv2d": 4}


class Convolution(nn.Module):
    """A convolution, its batch norm and, if asked for, a ReLU."""

    def __init__(self, channels, filters, kernel, stride=1, active=True):
        super().__init__()
        self.conv = nn.Conv2d(channels, filters, kernel, stride, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(filters)
        self.active = active

    def forward(self, x):
        x = self.bn(self.conv(x))
        return torch.relu(x) if self.active else x


class LightConvolution(nn.Module):
    """A 1x1 convolution, then a 3x3 one of each channel by itself."""

    def __init__(self, filters):
        super().__init__()
        self.conv1 = nn.Conv2d(filters, filters, 1, bias=False)
        self.conv2 = nn.Conv2d(filters, filters, 3, padding=1, groups=filters, bias=False)
        self.bn = nn.BatchNorm2d(filters)

    def forward(self, x):
        return torch.relu(self.bn(self.conv2(self.conv1(x))))


class Gate(nn.Module):
    """The weight of each channel, from its mean over places."""

    def __init__(self, filters):
        super().__init__()
        self.fc1 = nn.Conv2d(filters, filters // 16, 1)
        self.fc2 = nn.Conv2d(filters // 16, filters, 1)

    def forward(self, x):
        weights = torch.relu(self.fc1(x.mean((2, 3), keepdim=True)))
        return x * torch.sigmoid(self.fc2(weights))


class Block(nn.Module):
    """Four streams, weighed by one gate, beside a shortcut."""

    def __init__(self, channels, filters):
        super().__init__()
        middle = filters // 4
        self.conv1 = Convolution(channels, middle, 1)
        for name, depth in STREAMS.items():
            stream = [LightConvolution(middle) for _ in range(depth)]
            self.add_module(name, stream[0] if depth == 1 else nn.Sequential(*stream))
        self.gate = Gate(middle)
        self.conv3 = Convolution(middle, filters, 1, active=False)
        self.downsample = Convolution(channels, filters, 1, active=False) if channels != filters else None

    def forward(self, x):
        reduced = self.conv1(x)
        streams = sum(self.gate(getattr(self, name)(reduced)) for name in STREAMS)
        shortcut = x if self.downsample is None else self.downsample(x)
        return torch.relu(self.conv3(streams) + shortcut)


class OSNet(nn.Module):
    """From images as trackers feed them (N, 3, h, w) to unit vectors (N, 512)."""

    def __init__(self):
        super().__init__()
        stem, *widths = CHANNELS
        self.conv1 = Convolution(3, stem, 7, stride=2)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        for number, (channels, width) in enumerate(zip(CHANNELS, widths, strict=False), start=2):
            halving = [nn.Sequential(Convolution(width, width, 1), nn.AvgPool2d(2))] if number < 4 else []
            stage = nn.Sequential(Block(channels, width), Block(width, width), *halving)
            self.add_module(f"conv{number}", stage)
        self.conv5 = Convolution(widths[-1], widths[-1], 1)
        self.fc = nn.Sequential(nn.Linear(widths[-1], 512), nn.BatchNorm1d(512), nn.ReLU())

    def forward(self, images):
        x = self.maxpool(self.conv1(images))
        x = self.conv5(self.conv4(self.conv3(self.conv2(x))))
        return nn.functional.normalize(self.fc(x.mean((2, 3))))


def seeded():
    """OSNet with random weights and statistics of batch norms that are no ones and zeros, for inference."""
    torch.manual_seed(1)
    model = OSNet()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model.eval()
