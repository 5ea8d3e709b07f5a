"""CLIP's image tower in PyTorch, which benchmarks/gpu.py runs beside kreid's.

Written from `torch.nn` blocks after Dosovitskiy et al., arXiv 2010.11929, and Radford et al., arXiv 2103.00020 (norm
before the blocks, QuickGELU), under the names of CLIP's files, so that kreid's network takes these weights and the
embeddings can be compared. Attention is PyTorch's own, which chooses the kernel.
"""

import torch
from torch import nn
from torch.nn import functional

SIZES = {"b16": (768, 12, 12, 16), "l14": (1024, 16, 24, 14)}  # width, heads, blocks, pixels of a patch's side
MEAN, STD = (122.7709383, 116.7460125, 104.09373615), (68.5005327, 66.6321945, 70.32316335)


class Attention(nn.Module):
    """Queries, keys and values side by side, mixed head by head."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(nn.init.xavier_normal_(torch.empty(3 * width, width)))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x):
        split = functional.linear(x, self.in_proj_weight, self.in_proj_bias).unflatten(2, (3, self.heads, -1))
        queries, keys, values = split.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(queries, keys, values)
        return self.out_proj(mixed.transpose(1, 2).flatten(2))


class QuickGELU(nn.Module):
    """What CLIP was trained with in place of GELU."""

    def forward(self, x):
        return x * torch.sigmoid(1.702 * x)


class Block(nn.Module):
    """Attention and two dense layers, each behind a norm and beside a shortcut."""

    def __init__(self, width, heads):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = Attention(width, heads)
        self.mlp = nn.Sequential()
        self.mlp.add_module("c_fc", nn.Linear(width, 4 * width))
        self.mlp.add_module("gelu", QuickGELU())
        self.mlp.add_module("c_proj", nn.Linear(4 * width, width))

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class ClipViT(nn.Module):
    """From RGB 0-255 to unit vectors: of the class token, or of the mean of the places' tokens.

    Args:
        size: of `SIZES`.
        image_size: height and width, multiples of the patch.
        pooling: `"class_token"` or `"mean"`.
    """

    def __init__(self, size, image_size, pooling):
        super().__init__()
        width, heads, depth, patch = SIZES[size]
        self.pooling = pooling
        for name, values in (("mean", MEAN), ("std", STD)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)
        places = (image_size[0] // patch) * (image_size[1] // patch)
        self.conv1 = nn.Conv2d(3, width, patch, patch, bias=False)
        self.class_embedding = nn.Parameter(0.02 * torch.randn(width))
        self.positional_embedding = nn.Parameter(0.02 * torch.randn(1 + places, width))
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.transformer = nn.Module()
        self.transformer.resblocks = nn.Sequential(*(Block(width, heads) for _ in range(depth)))

    def forward(self, images):
        x = self.conv1((images - self.mean) / self.std).flatten(2).transpose(1, 2)
        token = self.class_embedding.to(x.dtype).expand(len(x), 1, -1)
        x = self.ln_pre(torch.cat([token, x], 1) + self.positional_embedding)
        x = self.ln_post(self.transformer.resblocks(x))
        return functional.normalize(x[:, 0] if self.pooling == "class_token" else x[:, 1:].mean(1))
