"""The VQ-VAE's encoder and decoder are those of MONAI, weight by weight and bit by bit, without importing it."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from MedADLib.networks.vqvae import Decoder, Encoder

CHANNELS, UNITS, WIDTH = (6, 8), 2, 5


def monai_layers(
    which: str, dimensions: int, given: int, channels, residual_layers: int, wanted: int
) -> torch.nn.Module:
    """MONAI's encoder or decoder with the arguments of ours."""
    from monai.networks.nets import vqvae

    shared = {"spatial_dims": dimensions, "in_channels": given, "out_channels": wanted, "channels": channels}
    shared |= {"num_res_layers": residual_layers, "num_res_channels": channels, "dropout": 0.0, "act": "RELU"}
    if which == "encoder":
        return vqvae.Encoder(downsample_parameters=((2, 4, 1, 1),) * len(channels), **shared)
    return vqvae.Decoder(upsample_parameters=((2, 4, 1, 1, 0),) * len(channels), output_act=None, **shared)


def pair(dimensions: int, which: str) -> list[torch.nn.Module]:
    """Ours and MONAI's, from the same seed."""
    layers = (dimensions, 2, CHANNELS, UNITS, WIDTH) if which == "encoder" else (dimensions, 6, CHANNELS, UNITS, 3)
    torch.manual_seed(3)
    ours = (Encoder if which == "encoder" else Decoder)(*layers)
    torch.manual_seed(3)
    return [ours, monai_layers(which, *layers)]


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("which", ["encoder", "decoder"])
def test_names_shapes_fresh_weights_results_and_gradients_are_those_of_monai(dimensions, which):
    ours, theirs = pair(dimensions, which)
    weights = theirs.state_dict()
    assert list(ours.state_dict()) == list(weights)
    assert all(torch.equal(value, weights[name]) for name, value in ours.state_dict().items())
    given = torch.randn(2, 2 if which == "encoder" else 6, *[8] * dimensions)
    results = [network(given) for network in (ours, theirs)]
    assert torch.equal(*results)
    for result in results:
        result.square().sum().backward()
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(ours.parameters(), theirs.parameters()))


def test_detecting_does_not_import_monai():
    code = (
        "import sys, MedADLib.detection; from MedADLib.methods.registry import METHODS; "
        "list(METHODS.values()); sys.exit('monai' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
