"""Other ways to draw codes from the same prior, to be compared with; they are as fast as their algorithm allows."""

from __future__ import annotations

from types import SimpleNamespace

import torch

from ..methods.draws import gumbel
from ..networks.prior import CodePrior, likelihood_of


class MonaiTransformer(torch.nn.Module):
    """Our prior as the transformer that MONAI's `VQVAETransformerInferer` samples from.

    MONAI's sequences begin with a token of their own, and its logits have a column for it. Attention is our prior's,
    which is faster than that of MONAI's transformer.

    Args:
        prior: Of slices.
        positions: Slice coordinate of each row, (N,).
    """

    def __init__(self, prior: CodePrior, positions: torch.Tensor):
        super().__init__()
        self.prior, self.positions, self.max_seq_len = prior, positions, prior.length

    def forward(self, x: torch.Tensor, context: torch.Tensor | None = None) -> torch.Tensor:
        """Logits (N, L, K + 1) of the codes after each token x, int64 (N, L); the first is the start."""
        codes = torch.cat([x[:, 1:], x.new_zeros(len(x), 1)], dim=1)
        logits = self.prior(codes, self.positions)
        return torch.cat([logits, torch.full_like(logits[..., :1], -torch.inf)], dim=-1)


def monai_samples(prior: CodePrior, position: torch.Tensor, grid: tuple[int, int], samples: int) -> torch.Tensor:
    """Slices sampled by MONAI's loop: every code of each, in H·W forward passes over a growing prefix.

    It cannot start from a slice's own codes, or keep some of them.

    Args:
        prior: Of slices.
        position: Slice coordinate, (1,).
        grid: Codes (h, w) of a slice.
        samples: How many.

    Returns:
        int64 (samples, h, w).
    """
    from monai.inferers import VQVAETransformerInferer
    from monai.utils import Ordering

    vqvae = SimpleNamespace(num_embeddings=prior.codes, decode_samples=lambda codes: codes)
    ordering = Ordering("raster_scan", 2, (1, *grid))
    start = torch.full((samples, 1), prior.codes, device=position.device)
    transformer = MonaiTransformer(prior, position.expand(samples))
    return VQVAETransformerInferer().sample(grid, start, vqvae, transformer, ordering, verbose=False)


def reevaluated(
    prior: CodePrior,
    codes: torch.Tensor,
    position: torch.Tensor,
    limit: float,
    samples: int,
    noise_key: tuple[int, int],
    places: range | None = None,
) -> torch.Tensor:
    """Restorations as the published restoration code makes them: the whole grid again at each of its places.

    At every place all samples go through the prior as a whole; a code that is less likely than the limit given the
    restored codes before it is drawn anew.

    Args:
        prior: Of slices.
        codes: Of the slice, int64 (length,).
        position: Slice coordinate, (1,).
        limit: λ in nats.
        samples: S.
        noise_key: Seed and slice number.
        places: Only these; every one takes as long. None takes all.

    Returns:
        int64 (S, length).
    """
    restored = codes.repeat(samples, 1)
    for place in places or range(len(codes)):
        logits = prior(restored, position.expand(samples))[:, place]
        unlikely = likelihood_of(logits, restored[:, place]) > limit
        drawn = (logits.float() + gumbel(noise_key, place, samples, prior.codes).to(logits.device)).argmax(dim=1)
        restored[:, place] = torch.where(unlikely, drawn, restored[:, place])
    return restored
