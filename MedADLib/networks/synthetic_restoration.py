"""U-Net that restores slabs or blocks of a scan and says where it had to: for `methods.synthetic_restoration`."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn.functional import avg_pool2d, avg_pool3d, binary_cross_entropy_with_logits, interpolate, max_pool2d

# Slices in and out; the slices out are those in the middle.
SLICES, RESTORED = 5, 3
# Coordinates, and mean and SD of healthy scans.
POSITIONS = 5
# Smallest SD, and the largest distance from the mean in SD, that the network sees.
LEAST_SPREAD, FARTHEST = 0.05, 6.0
# Most pixels are healthy: with this initial bias the training need not learn that first.
USUAL_LOGIT = -3.0
# Pixels around an anomaly that count for its Dice.
AROUND = 2
MOST_ANOMALIES = 16
# Weights of the terms of the loss. Errors in standard intensities are about a fifth of those of degrees.
DICE, INSIDE, WHOLE, SHARP = 0.5, 3.0, 5.0, 2.0


class SlabRestorer(nn.Module):
    """U-Net with two heads for the middle slices of a slab: a correction r of the intensities, and an anomaly logit a.

    The pseudo-healthy image is x̂ = x + σ(a)·r: where nothing is anomalous, the scan is copied, with its noise and
    sharpness. Inputs are the slices, the mirror image of the middle one, the position of every pixel, mean and SD of
    healthy scans there, and the distance of the middle slice from this mean in SD.

    Batch norm depends neither on the size of the field of view nor on a lesion in it when the network is applied, and
    training takes place on parts of slices.

    The 3-D form has 3×3×3 convolutions. It sees a block of the scan, the mirror image of the block, and position, mean,
    SD and distance of each of its voxels, and restores all its slices.

    Args:
        channels: Channels of each level; all levels except the first halve the grid.
        resolution: Grid (Z, Y, X) of the stored maps.
        dimensions: 2 for slabs, 3 for blocks.
        maps: Number of stored maps of healthy scans: mean and SD, or others from which the method gets them.
    """

    def __init__(self, channels: tuple[int, ...], resolution: tuple[int, ...], dimensions: int = 2, maps: int = 2):
        super().__init__()
        self.deep = dimensions == 3
        self.register_buffer("healthy", torch.zeros(maps, *resolution))
        slices, restored = (1, 1) if self.deep else (SLICES, RESTORED)
        inputs = slices + 1 + POSITIONS + 1
        self.down = nn.ModuleList([_level(a, b, self.deep) for a, b in pairwise((inputs, *channels))])
        self.up = nn.ModuleList([_level(below + here, here, self.deep) for below, here in pairwise(reversed(channels))])
        self.last = (nn.Conv3d if self.deep else nn.Conv2d)(channels[0], 2 * restored, 1)
        nn.init.zeros_(self.last.weight)
        with torch.no_grad():
            self.last.bias.copy_(torch.tensor([0.0] * restored + [USUAL_LOGIT] * restored))
        # On a CPU, channels last takes about two thirds of the time.
        self._order = torch.channels_last_3d if self.deep else torch.channels_last
        for part in (self.down, self.up, self.last) if self.deep else (self,):
            part.to(memory_format=self._order)

    def forward(
        self, slabs: torch.Tensor, mirrors: torch.Tensor, positions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute correction and anomaly logit.

        Args:
            slabs: Neighbouring slices, (N, 5, Y, X), sides divisible by 2 to the number of levels less one; blocks are
                (N, Z, Y, X), with all three sides divisible.
            mirrors: Middle slices of the mirrored scan, (N, 1, Y, X); of blocks (N, Z, Y, X).
            positions: Coordinates (z, y, x) of the pixels in the grid, -0.5 to 0.5, and mean and SD of healthy scans,
                (N, 5, Y, X); of blocks (N, 5, Z, Y, X).

        Returns:
            Correction and logit, each float32 (N, 3, Y, X), for the three middle slices; of blocks (N, Z, Y, X).
        """
        if self.deep:
            slabs, mirrors = slabs[:, None], mirrors[:, None]
        centre = slabs if self.deep else slabs[:, SLICES // 2, None]
        mean, spread = positions[:, 3:4], positions[:, 4:5].clamp_min(LEAST_SPREAD)
        distance = ((centre - mean) / spread).clamp(-FARTHEST, FARTHEST)
        features = torch.cat([slabs, mirrors, positions, distance], 1).contiguous(memory_format=self._order)
        halved = avg_pool3d if self.deep else avg_pool2d
        skips = []
        for number, level in enumerate(self.down):
            features = level(halved(features, 2) if number else features)
            skips.append(features)
        for level, skip in zip(self.up, reversed(skips[:-1])):
            features = level(torch.cat([interpolate(features, scale_factor=2, mode="nearest"), skip], 1))
        correction, logit = self.last(features).float().chunk(2, dim=1)
        return (correction[:, 0], logit[:, 0]) if self.deep else (correction, logit)

    def loss(
        self,
        slabs: torch.Tensor,
        mirrors: torch.Tensor,
        positions: torch.Tensor,
        masks: torch.Tensor,
        clean: torch.Tensor,
        degrees: torch.Tensor,
        labels: torch.Tensor,
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Compute the loss of restoration and degree.

        The terms are: binary cross-entropy with the degree as soft target, mean over the brain; soft Dice, mean over
        the anomalies, so that a spot counts as much as a tumour; |x + r − x₀|, mean over each anomaly and over the
        anomalies; |x̂ − x₀|, mean over the brain; and the difference of the gradients of x̂ and x₀ along all three
        axes in the anomalies, which keeps the restoration as sharp as the scan.

        Args:
            slabs: See `forward`.
            mirrors: See `forward`.
            positions: See `forward`.
            masks: Brain in the middle slices, (N, 3, Y, X), 0 or 1; here and below, blocks have Z slices.
            clean: Middle slices x₀ without anomalies, (N, 3, Y, X).
            degrees: Degree of anomaly, (N, 3, Y, X), 0 to 1.
            labels: Number of the anomaly of each pixel, (N, 3, Y, X), below 16; 0 for none.

        Returns:
            The loss, and its terms.
        """
        correction, logit = self(slabs, mirrors, positions)
        scan = middle(slabs, clean.shape[1])
        probability = torch.sigmoid(logit)
        restored = scan + probability * correction
        brain = masks.sum().clamp_min(1)
        entropy = (binary_cross_entropy_with_logits(logit, degrees, reduction="none") * masks).sum() / brain

        near = max_pool2d(labels, 2 * AROUND + 1, stride=1, padding=AROUND) * masks
        dice = _mean_over_anomalies(2 * probability * degrees, near, probability.square() + degrees.square(), 1.0)
        inside = _mean_over_anomalies((scan + correction - clean).abs(), labels * masks, masks)
        error = (restored - clean).abs() * masks
        whole = error.sum() / brain
        sharp = _gradient_difference(restored - clean, masks * (near > 0))
        loss = entropy + DICE * dice + INSIDE * inside + WHOLE * whole + SHARP * sharp
        terms = {"cross_entropy": entropy, "dice_loss": dice, "inside": inside, "error": whole, "sharpness": sharp}
        return loss, {name: value.detach() for name, value in terms.items()}


def middle(slabs: torch.Tensor, count: int) -> torch.Tensor:
    """Return the slices of slabs or blocks (N, C, Y, X) that the network restores: the `count` slices in the middle."""
    first = (slabs.shape[1] - count) // 2
    return slabs[:, first : first + count]


def restored_from(scan: torch.Tensor, correction: torch.Tensor, logit: torch.Tensor) -> torch.Tensor:
    """Return x̂ = x + σ(a)·r."""
    return scan + torch.sigmoid(logit) * correction


def _level(before: int, after: int, deep: bool) -> nn.Sequential:
    """Return two 3×3 or 3×3×3 convolutions."""
    convolution, norm = (nn.Conv3d, nn.BatchNorm3d) if deep else (nn.Conv2d, nn.BatchNorm2d)
    layers: list[nn.Module] = []
    for inputs in (before, after):
        layers += [convolution(inputs, after, 3, padding=1, bias=False), norm(after), nn.SiLU(inplace=True)]
    return nn.Sequential(*layers)


def _mean_over_anomalies(
    values: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor, less: float | None = None
) -> torch.Tensor:
    """Average over each anomaly of each slab, then over all anomalies; 0 without any.

    Args:
        values: (N, C, Y, X).
        labels: Number of the anomaly of each pixel, (N, C, Y, X); 0 for none.
        weights: Denominators, (N, C, Y, X).
        less: The average is subtracted from this number; None leaves it.
    """
    count = len(labels)
    index = labels.long() + MOST_ANOMALIES * torch.arange(count, device=labels.device).view(-1, 1, 1, 1)
    sums = [
        values.new_zeros(count * MOST_ANOMALIES).index_add(0, index.flatten(), part.flatten())
        for part in (values, weights, (labels > 0).to(values.dtype))
    ]
    total, weight, pixels = (part.view(count, MOST_ANOMALIES)[:, 1:] for part in sums)
    present = (pixels > 0).to(values.dtype)
    mean = total / weight.clamp_min(1e-3)
    if less is not None:
        mean = less - mean
    return (mean * present).sum() / present.sum().clamp_min(1)


def _gradient_difference(difference: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    """Return the mean of |∂(x̂ − x₀)| over the marked pixels, summed over the three axes (slices are channels)."""
    total = difference.new_zeros(())
    for axis in (1, 2, 3):
        size = difference.shape[axis]
        one, two = (difference.narrow(axis, start, size - 1) for start in (1, 0))
        both = where.narrow(axis, 1, size - 1) * where.narrow(axis, 0, size - 1)
        total = total + ((one - two).abs() * both).sum() / both.sum().clamp_min(1)
    return total
