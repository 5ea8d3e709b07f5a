"""Writes torch_small*.pth and torch_small.npz with the real PyTorch; see README.md here.

pip install torch==2.13.0 numpy; python make_torch_small.py FOLDER
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn


class Small(nn.Module):
    """One layer of every kind that a state dict of this project's networks can hold."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, (3, 5), padding=(1, 2))
        self.bn = nn.BatchNorm2d(4)
        self.prelu = nn.PReLU(4)
        self.grouped = nn.Conv2d(4, 6, 3, padding=1, groups=2, bias=False)
        self.depthwise = nn.Conv2d(6, 12, 3, padding=1, groups=6)
        self.instance = nn.InstanceNorm2d(12, affine=True)
        self.fc = nn.Linear(12, 5)
        self.norm = nn.LayerNorm(5)

    def forward(self, x):
        x = self.prelu(self.bn(self.conv(x)))
        x = self.instance(self.depthwise(self.grouped(x)))
        return self.norm(self.fc(x.relu().mean((2, 3))))


def main(folder):
    torch.manual_seed(0)
    model = Small()
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape) + 0.5 if tensor.ndim == 1 else torch.randn(tensor.shape) / 3)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(2, 3, 7, 6)).square().mean().backward()
    optimizer.step()
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [1, 2])

    state = model.eval().state_dict()
    images = torch.randn(2, 3, 7, 6)
    arrays = {name: tensor.numpy() for name, tensor in state.items()}
    with torch.no_grad():
        output = model(images).numpy()
    np.savez_compressed(folder / "torch_small.npz", images=images.permute(0, 2, 3, 1), output=output, **arrays)

    torch.save(state, folder / "torch_small_legacy.pth", _use_new_zipfile_serialization=False)
    checkpoint = {
        "state_dict": {f"module.{name}": tensor for name, tensor in state.items()},
        "epoch": 3,
        "rank1": np.float32(0.5),
        "history": np.arange(3),
        "optimizer": optimizer.state_dict(),
        "scheduler": schedule.state_dict(),
        "args": argparse.Namespace(lr=1e-3, size=torch.Size([7, 6]), device=torch.device("cpu"), dtype=torch.float32),
        "seen": {1, 2},
    }
    torch.save(checkpoint, folder / "torch_small_checkpoint.pth")

    base = torch.arange(24.0).reshape(4, 6)
    types = {
        "half": torch.tensor([1.5, -2.25]).half(),
        "bfloat16": torch.tensor([1.0, -0.0078125, 3.1415927]).bfloat16(),
        "double": torch.tensor([1e300], dtype=torch.float64),
        "long": torch.tensor(2**40 + 1),
        "int": torch.tensor([-7], dtype=torch.int32),
        "byte": torch.tensor([200], dtype=torch.uint8),
        "bool": torch.tensor([True, False]),
        "empty": torch.zeros(0, 3),
        "whole": base,
        "transposed": base.T,
        "window": base[1:3, 1::2],
        "expanded": base[:1].expand(3, 6),
        "parameter": nn.Parameter(torch.tensor([4.0])),
    }
    torch.save(types, folder / "torch_types.pth")
    torch.save(types, folder / "torch_types_legacy.pth", _use_new_zipfile_serialization=False)
    torch.save(model, folder / "torch_whole_model.pth")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
