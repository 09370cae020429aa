"""Export of networks as classes of MONAI and PyTorch, for MONAI bundles.

A MONAI bundle builds its network from a configuration that names classes and their arguments. Autoencoders become a
sequence of PyTorch layers, a VQ-VAE becomes MONAI's `VQVAE`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from .pixel_error import PixelError
from .vqvae import VQVAE

# The arguments that build a layer, by its class; `_WITH_BIAS` adds the bias.
_ARGUMENTS: dict[type[nn.Module], tuple[str, ...]] = {
    nn.Conv2d: ("in_channels", "out_channels", "kernel_size", "stride", "padding"),
    nn.ConvTranspose2d: ("in_channels", "out_channels", "kernel_size", "stride", "padding"),
    nn.Linear: ("in_features", "out_features"),
    nn.BatchNorm1d: ("num_features", "eps"),
    nn.BatchNorm2d: ("num_features", "eps"),
    nn.InstanceNorm2d: ("num_features", "eps", "affine"),
    nn.ReLU: (),
    nn.LeakyReLU: ("negative_slope",),
    nn.SiLU: (),
    nn.Flatten: ("start_dim",),
    nn.Unflatten: ("dim", "unflattened_size"),
    nn.Softmax: ("dim",),
}
_WITH_BIAS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


@dataclass(frozen=True, eq=False)
class BundleNetwork:
    """A network that gives one channel for a slice (Y, X), as the configuration of a MONAI bundle has it.

    Attributes:
        config: Entries of the configuration; ``network_def`` is the network.
        weights: Its state dict.
        conditioned: Whether the slice's position in [-0.5, 0.5] is its second input channel.
    """

    config: dict
    weights: dict[str, torch.Tensor]
    conditioned: bool = False


def sequence_in_monai(layers: Iterable[nn.Module]) -> BundleNetwork:
    """Describe layers that run one after the other.

    Args:
        layers: Of classes in `_ARGUMENTS`.

    Raises:
        KeyError: If a layer is of another class.
    """
    layers = list(layers)
    config = {"layers": [_described(layer) for layer in layers], "network_def": "$torch.nn.Sequential(*@layers)"}
    return BundleNetwork(config, nn.Sequential(*layers).state_dict())


def first_outputs(layer: nn.Module, count: int) -> nn.Module:
    """Copy a linear or convolution layer with its first `count` output channels only."""
    arguments = _described(layer)
    del arguments["_target_"]
    arguments["out_features" if isinstance(layer, nn.Linear) else "out_channels"] = count
    copy = type(layer)(**arguments)
    weight = layer.weight[:, :count] if isinstance(layer, nn.ConvTranspose2d) else layer.weight[:count]
    copy.load_state_dict({"weight": weight} | ({} if layer.bias is None else {"bias": layer.bias[:count]}))
    return copy


def image_layers(compare: PixelError) -> list[nn.Module]:
    """Return the layers that compute `PixelError.image` of a decoder's output; none unless the error is categorical."""
    if compare.error != "categorical":
        return []
    centres = nn.Conv2d(compare.channels, 1, 1, bias=False)
    centres.load_state_dict({"weight": compare.centres.view(1, -1, 1, 1)})
    return [nn.Softmax(1), centres]


def vqvae_in_monai(vqvae: VQVAE) -> BundleNetwork:
    """Describe a VQ-VAE of slices as MONAI's `VQVAE`.

    Our decoder takes the slice's position besides the code vectors, MONAI's takes code vectors only. Here the code
    vectors have one more number, which is 0 in the encoder's output and in the codebook, so that the nearest codes are
    the same. Between quantiser and decoder the position is added to it: the only thing in which the network differs
    from its base class, besides giving the reconstruction without the loss.
    """
    first, last = vqvae.encoder.blocks[0].conv, vqvae.encoder.blocks[-1].conv
    channels = [block.conv.out_channels for block in vqvae.encoder.blocks if hasattr(block, "conv")][:-1]
    codes, width = vqvae.quantiser.codebook.shape
    units = (len(vqvae.encoder.blocks) - 1) // len(channels) - 1
    step, levels = 1 << len(channels), len(channels)
    forward = (
        "lambda self, images: self.decode(self.encode_stage_2_inputs(images) + "
        f"torch.nn.functional.pad(images[:, 1:, ::{step}, ::{step}], (0, 0, 0, 0, {width}, 0)))"
    )
    definition = {
        "_target_": f"$type('ConditionedVQVAE', (monai.networks.nets.VQVAE,), {{'forward': {forward}}})",
        "spatial_dims": 2,
        "in_channels": first.in_channels,
        "out_channels": vqvae.compare.channels,
        "channels": channels,
        "num_res_layers": units,
        "num_res_channels": channels,
        "downsample_parameters": [[2, 4, 1, 1]] * levels,
        "upsample_parameters": [[2, 4, 1, 1, 0]] * levels,
        "num_embeddings": codes,
        "embedding_dim": width + 1,
    }
    weights = {key: value for key, value in vqvae.state_dict().items() if key.startswith(("encoder.", "decoder."))}
    prefix = f"encoder.blocks.{len(vqvae.encoder.blocks) - 1}.conv."
    weights[f"{prefix}weight"] = torch.cat([last.weight, torch.zeros_like(last.weight[:1])])
    weights[f"{prefix}bias"] = torch.cat([last.bias, torch.zeros_like(last.bias[:1])])
    quantiser = vqvae.quantiser
    weights["quantizer.quantizer.embedding.weight"] = nn.functional.pad(quantiser.codebook, (0, 1))
    weights["quantizer.quantizer.ema_cluster_size"] = quantiser.usage
    weights["quantizer.quantizer.ema_w"] = nn.functional.pad(quantiser.sums, (0, 1))
    after = image_layers(vqvae.compare)
    if not after:
        return BundleNetwork({"network_def": definition}, weights, conditioned=True)
    config = {"layers": [definition, *map(_described, after)], "network_def": "$torch.nn.Sequential(*@layers)"}
    weights = {f"0.{key}": value for key, value in weights.items()} | nn.Sequential(nn.Identity(), *after).state_dict()
    return BundleNetwork(config, weights, conditioned=True)


def _described(layer: nn.Module) -> dict:
    """Describe a layer by its class and the arguments that build it."""
    values = {name: getattr(layer, name) for name in _ARGUMENTS[type(layer)]}
    if isinstance(layer, _WITH_BIAS):
        values["bias"] = layer.bias is not None
    return {"_target_": f"torch.nn.{type(layer).__name__}"} | values
