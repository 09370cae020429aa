"""The first layers of EfficientNet-lite0 (Tan and Le 2019), with which ImageNet features are computed."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate, pad

STEM = 32
# Blocks, kernel, stride, factor of the hidden channels, and channels of each stage.
STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112))
MOST_LEVELS = len(STAGES)
EPSILON = 1e-3
# Intensities 0 to 1 become -0.992 to 1, as in the training on ImageNet.
MEAN, SD = 127 / 255, 128 / 255
# The feature maps have a quarter of the pixels of a slice along each axis.
STRIDE = 4


class SameConvolution(nn.Conv2d):
    """Convolution without bias with the padding "same" of TensorFlow: odd padding is larger below and to the right."""

    def __init__(self, before: int, after: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__(before, after, kernel, stride, groups=groups, bias=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (N, before, Y, X) to (N, after, ⌈Y / stride⌉, ⌈X / stride⌉)."""
        margins = []
        for size in reversed(features.shape[2:]):
            step, kernel = self.stride[0], self.kernel_size[0]
            whole = max((-(-size // step) - 1) * step + kernel - size, 0)
            margins += [whole // 2, whole - whole // 2]
        return super().forward(pad(features, margins) if any(margins) else features)


class InvertedBottleneck(nn.Module):
    """Block of EfficientNet-lite: expansion, depthwise convolution and projection, added to the input if it fits."""

    def __init__(self, before: int, after: int, kernel: int, stride: int, factor: int):
        super().__init__()
        hidden = factor * before
        self.expand = None if factor == 1 else _convolved(before, hidden, 1)
        self.depthwise = _convolved(hidden, hidden, kernel, stride, hidden)
        self.project = _convolved(hidden, after, 1, last=True)
        self.adds = stride == 1 and before == after

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (N, before, Y, X) to (N, after, Y / stride, X / stride)."""
        found = features if self.expand is None else self.expand(features)
        found = self.project(self.depthwise(found))
        return found + features if self.adds else found


def _convolved(
    before: int, after: int, kernel: int, stride: int = 1, groups: int = 1, last: bool = False
) -> nn.Sequential:
    layers = [SameConvolution(before, after, kernel, stride, groups), nn.BatchNorm2d(after, eps=EPSILON)]
    return nn.Sequential(*layers, *([] if last else [nn.ReLU6()]))


class ImageNetFeatures(nn.Module):
    """Feature maps of slices by the first stages of EfficientNet-lite0, at a quarter of the resolution.

    The outputs of the stages have strides 2, 4, 8, 16 and 16. All are resampled to stride 4 and concatenated. The
    network does not learn and is always in evaluation mode.

    Args:
        levels: Number of stages, 1 to 5.
    """

    def __init__(self, levels: int):
        super().__init__()
        self.stem = _convolved(3, STEM, 3, 2)
        stages, before = [], STEM
        for count, kernel, stride, factor, after in STAGES[:levels]:
            blocks = []
            for number in range(count):
                blocks.append(InvertedBottleneck(before, after, kernel, 1 if number else stride, factor))
                before = after
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)
        self.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> ImageNetFeatures:
        """Stay in evaluation mode."""
        return super().train(False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Compute the features of slices (N, 1, Y, X) in standard intensities, (N, C, ⌈Y / 4⌉, ⌈X / 4⌉)."""
        size = tuple(-(-n // STRIDE) for n in images.shape[2:])
        current, found = self.stem(((images - MEAN) / SD).expand(-1, 3, -1, -1)), []
        for stage in self.stages:
            current = stage(current)
            found.append(_resized(current, size))
        return torch.cat(found, dim=1)


def channels_of(levels: int) -> int:
    """Return the number of channels of the features of some stages."""
    return sum(stage[-1] for stage in STAGES[:levels])


def _resized(features: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
    """Resample features (N, C, h, w): averages to a coarser grid, linear interpolation to a finer one."""
    if features.shape[2] >= size[0]:
        return adaptive_avg_pool2d(features, size)
    return interpolate(features, size=size, mode="bilinear", align_corners=False)


def names_in_package(network: ImageNetFeatures) -> dict[str, str]:
    """Return the name in the published files of weights of each tensor of the network, by its name here."""
    found, number = {"stem.0": "_conv_stem", "stem.1": "_bn0"}, 0
    for level, stage in enumerate(network.stages):
        for place, block in enumerate(stage):
            parts = {"expand": ("_expand_conv", "_bn0"), "depthwise": ("_depthwise_conv", "_bn1"),
                     "project": ("_project_conv", "_bn2")}  # fmt: skip
            for part, names in parts.items():
                if getattr(block, part) is not None:
                    own = f"stages.{level}.{place}.{part}"
                    found |= {f"{own}.{layer}": f"_blocks.{number}.{name}" for layer, name in enumerate(names)}
            number += 1
    layers = ((key, *key.rpartition(".")[::2]) for key in network.state_dict())
    return {key: f"{found[layer]}.{tensor}" for key, layer, tensor in layers}
