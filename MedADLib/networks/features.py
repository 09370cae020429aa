"""Features for perceptual losses, learned from healthy slices instead of ImageNet.

Weights of VGG cannot be downloaded at run time. A package contains those of another network, but neither MedAD nor a
model file may contain them, so a model would need that package; only `methods.feature_autoencoder` does. Therefore a
small network with the architecture of VGG learns features from the user's own scans, of any modality: two copies of a
slice, changed in brightness, sharpness and noise, must have similar features at each position and different ones at
all other positions (dense contrastive learning, Wang et al. 2021, with the InfoNCE loss of van den Oord et al. 2018).
The features then describe structure rather than brightness, and the model file contains them. docs/RESULTS.md compares
the same autoencoder with the squared and the perceptual error.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import avg_pool2d, cross_entropy, max_pool2d, normalize

CHANNELS = (8, 16, 32, 64)
EMBEDDING = 32
TEMPERATURE = 0.1
POSITIONS = 512


class FeatureNetwork(nn.Module):
    """Four levels of two 3×3 convolutions, as in VGG; without normalisation, so that slices are independent."""

    def __init__(self):
        super().__init__()
        levels, before = [], 1
        for after in CHANNELS:
            first, second = nn.Conv2d(before, after, 3, 1, 1), nn.Conv2d(after, after, 3, 1, 1)
            for layer in (first, second):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
            levels.append(nn.Sequential(first, nn.ReLU(), second, nn.ReLU()))
            before = after
        self.levels = nn.ModuleList(levels)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Compute features of slices (N, 1, Y, X): (N, C, Y / 2^l, X / 2^l) of each level l."""
        found, current = [], images
        for number, level in enumerate(self.levels):
            current = level(current if number == 0 else max_pool2d(current, 2))
            found.append(current)
        return found


class FeatureLearner(nn.Module):
    """Feature network with one projection for each level, which only the training needs."""

    def __init__(self):
        super().__init__()
        self.features = FeatureNetwork()
        self.heads = nn.ModuleList(nn.Conv2d(width, EMBEDDING, 1) for width in CHANNELS)

    def loss(
        self, images: torch.Tensor, masks: torch.Tensor, positions: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Compute InfoNCE between positions of two augmented copies, the mean over the levels.

        For positions p sampled inside the brain, with unit vectors u_p of one copy and v_p of the other:
        −log exp(u_p·v_p / τ) / Σ_q exp(u_p·v_q / τ), τ = 0.1.

        Args:
            images: (N, 1, Y, X).
            masks: Brain, (N, 1, Y, X).
            positions: (N,); not used.

        Returns:
            The loss, and ``matched``: share of positions at the last level with the right one as most similar position.
        """
        first, second = self.features(perturbed(images, masks)), self.features(perturbed(images, masks))
        losses, matched = [], images.new_zeros(())
        for level, head in enumerate(self.heads):
            inside = avg_pool2d(masks, 1 << level)[:, 0].flatten() > 0.5
            places = inside.nonzero()[:, 0]
            places = places[torch.randperm(len(places))[:POSITIONS].to(places.device)]
            u, v = (normalize(head(f[level]).float().movedim(1, -1).flatten(0, 2)[places]) for f in (first, second))
            similarity = u @ v.T / TEMPERATURE
            wanted = torch.arange(len(places), device=images.device)
            losses.append(cross_entropy(similarity, wanted))
            matched = (similarity.argmax(1) == wanted).float().mean()
        return torch.stack(losses).mean(), {"matched": matched}


def perturbed(images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Change brightness, contrast, sharpness and noise of images (N, 1, Y, X) at random, without displacement."""
    shape = (len(images), 1, 1, 1)
    # Sampled on the CPU, so that the changes are the same on every device.
    gain, offset, soft, level = (torch.rand(shape).to(images.device) for _ in range(4))
    copy = (images - 0.5) * (0.7 + 0.6 * gain) + 0.5 + 0.3 * (offset - 0.5)
    copy = torch.where(soft < 0.5, avg_pool2d(copy, 3, 1, 1), copy)
    return (copy + 0.1 * level * torch.randn(images.shape).to(images.device)) * masks
