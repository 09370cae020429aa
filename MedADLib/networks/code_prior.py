"""Causal transformer over the codes of a slice or volume: the likelihood of each code given those before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import conv2d, cross_entropy, gelu, linear, scaled_dot_product_attention


def product(tokens: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, convolved: bool = False) -> torch.Tensor:
    """Multiply tokens (…, before) by a weight (after, before) and add a bias (after,); (…, after).

    A 1×1 convolution is faster with some processors' libraries. It sums in another order, so results differ in the last
    bits; samplers resolve near ties of the resulting logits in float64, see `SamplingTask`.
    """
    if not convolved:
        return linear(tokens, weight, bias)
    image = tokens.reshape(1, -1, 1, tokens.shape[-1]).permute(0, 3, 1, 2)
    found = conv2d(image, weight[:, :, None, None], bias)
    return found.permute(0, 2, 3, 1).reshape(*tokens.shape[:-1], len(weight))


class Product(nn.Linear):
    """Linear layer of tokens, computed as a matrix product or a 1×1 convolution.

    Attributes:
        convolved: Whether it is computed as a convolution.
    """

    convolved = False

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Map tokens (…, before) to (…, after)."""
        return product(tokens, self.weight, self.bias, self.convolved)


def convolve(network: nn.Module, convolved: bool) -> None:
    """Set whether all `Product` layers of a network are computed as convolutions."""
    for module in network.modules():
        if isinstance(module, Product):
            module.convolved = convolved


class Cache(NamedTuple):
    """Keys and values of processed tokens; each (layers, N, heads, capacity, head width)."""

    keys: torch.Tensor
    values: torch.Tensor

    def rows(self, chosen: slice) -> Cache:
        """Return the cache of some samples, in the same memory."""
        return Cache(self.keys[:, chosen], self.values[:, chosen])

    def copies(self, sample: int, count: int) -> Cache:
        """Return `count` copies of the cache of one sample, for continuations that differ."""
        return Cache(
            self.keys[:, sample : sample + 1].repeat(1, count, 1, 1, 1),
            self.values[:, sample : sample + 1].repeat(1, count, 1, 1, 1),
        )


class Block(nn.Module):
    """Transformer block with pre-norm attention and feed-forward layers."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.project = Product(width, 3 * width)
        self.merge = Product(width, width)
        self.feed_norm = nn.LayerNorm(width)
        self.widen = Product(width, 4 * width)
        self.narrow = Product(4 * width, width)

    def split(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Compute queries, keys and values (N, heads, L, head width) of tokens (N, L, width)."""
        parts = self.project(self.attention_norm(tokens))
        parts = parts.view(*tokens.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        return parts[0], parts[1], parts[2]

    def finish(self, tokens: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
        """Add the output (…, width) of the attention, with concatenated heads, and the feed-forward part to tokens."""
        tokens = tokens + self.merge(attended)
        return tokens + self.narrow(gelu(self.widen(self.feed_norm(tokens))))


class CodePrior(nn.Module):
    """Autoregressive prior p(code | codes before it in raster order, slice position).

    The input at index i is the code at i - 1; at index 0 it is a start vector. Each index has its own learned
    embedding, and a Fourier embedding of the slice position is added. In a volume, the neighbour in the plane below is
    hundreds of indices back, too far for attention to learn it in a short training; with `further` it is part of the
    input.

    Args:
        codes: Codebook size K.
        length: Number of codes of a slice, h·w, or of a volume, d·h·w.
        width: Token width.
        layers: Number of blocks.
        heads: Attention heads.
        further: Distances in raster order to further codes of the input: one row, one plane.
    """

    def __init__(self, codes: int, length: int, width: int, layers: int, heads: int, further: Sequence[int] = ()):
        super().__init__()
        self.codes, self.length, self.further = codes, length, tuple(further)
        self.code_embedding = nn.Embedding(codes + 1, width)
        self.further_embeddings = nn.ModuleList(nn.Embedding(codes + 1, width) for _ in self.further)
        self.place_embedding = nn.Parameter(0.02 * torch.randn(length, width))
        self.position_embedding = nn.Linear(16, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, codes)
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=0.02)
        for block in self.blocks:
            for layer in (block.merge, block.narrow):
                nn.init.normal_(layer.weight, std=0.02 / (2 * layers) ** 0.5)

    def forward(self, codes: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Compute the logits of every code given those before it.

        Args:
            codes: int64 (N, length), raster order.
            positions: Slice coordinate, (N,).

        Returns:
            (N, length, K).
        """
        tokens = self.tokens(codes, positions, 0, codes.shape[1])
        for block in self.blocks:
            queries, keys, values = block.split(tokens)
            attended = scaled_dot_product_attention(queries, keys, values, is_causal=True)
            tokens = block.finish(tokens, attended.transpose(1, 2).flatten(2))
        return self.head(self.norm(tokens))

    def fill(self, codes: torch.Tensor, positions: torch.Tensor) -> tuple[torch.Tensor, Cache]:
        """Compute the logits of `forward`, and the keys and values of all indices, to continue from any of them."""
        tokens = self.tokens(codes, positions, 0, codes.shape[1])
        all_keys, all_values = [], []
        for block in self.blocks:
            queries, keys, values = block.split(tokens)
            attended = scaled_dot_product_attention(queries, keys, values, is_causal=True)
            tokens = block.finish(tokens, attended.transpose(1, 2).flatten(2))
            all_keys.append(keys)
            all_values.append(values)
        return self.head(self.norm(tokens)), Cache(torch.stack(all_keys), torch.stack(all_values))

    def extend(self, codes: torch.Tensor, positions: torch.Tensor, first: int, last: int, cache: Cache) -> torch.Tensor:
        """Compute the logits at the last of several consecutive indices, (N, K); see `extend_all`."""
        return self.extend_all(codes, positions, first, last, cache)[:, -1]

    def extend_all(
        self, codes: torch.Tensor, positions: torch.Tensor, first: int, last: int, cache: Cache
    ) -> torch.Tensor:
        """Compute the logits at several consecutive indices, from a cache of those before.

        Args:
            codes: int64 (N, length); those at `last` - 1 and later are not used.
            positions: Slice coordinate, (N,).
            first: First index.
            last: Last index plus one.
            cache: Cache of the same N samples, valid before `first`; entries from `first` to `last` are written.

        Returns:
            (N, last - first, K).
        """
        tokens = self.tokens(codes, positions, first, last)
        seen = torch.ones(last - first, last, dtype=torch.bool, device=codes.device).tril(first)
        for number, block in enumerate(self.blocks):
            queries, keys, values = block.split(tokens)
            cache.keys[number, :, :, first:last] = keys
            cache.values[number, :, :, first:last] = values
            attended = scaled_dot_product_attention(
                queries, cache.keys[number, :, :, :last], cache.values[number, :, :, :last], attn_mask=seen
            )
            tokens = block.finish(tokens, attended.transpose(1, 2).flatten(2))
        return self.head(self.norm(tokens))

    def loss(self, codes: torch.Tensor, positions: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Compute the mean negative log-likelihood in nats per code; codes (N, length), positions (N,)."""
        logits = self(codes, positions).float()
        likelihood = cross_entropy(logits.flatten(0, 1), codes.flatten())
        return likelihood, {"nll": likelihood.detach()}

    def nll(self, codes: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Compute the negative log-likelihood of each code in nats, (N, length)."""
        return likelihood_of(self(codes, positions), codes)

    def tokens(self, codes: torch.Tensor, positions: torch.Tensor, first: int, last: int) -> torch.Tensor:
        """Compute the token vectors at the indices from `first` to before `last`, from the codes before each."""
        longest = max((1, *self.further))
        started = torch.cat([codes.new_full((len(codes), longest), self.codes), codes[:, : last - 1]], dim=1)
        tokens = self.code_embedding(started[:, longest - 1 :][:, first:last])
        for back, embedding in zip(self.further, self.further_embeddings):
            tokens = tokens + embedding(started[:, longest - back :][:, first:last])
        angles = positions[:, None].float() * torch.pi * 2.0 ** torch.arange(8, device=positions.device)
        waves = torch.cat([angles.sin(), angles.cos()], dim=1).to(self.place_embedding.dtype)
        where = self.position_embedding(waves)
        return tokens + self.place_embedding[first:last] + where[:, None]


def likelihood_of(logits: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    """Compute the negative log-likelihood in nats of codes (..., L) under logits (..., L, K)."""
    return -logits.float().log_softmax(-1).gather(-1, codes[..., None])[..., 0]
