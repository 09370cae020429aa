"""Ensemble of methods on one template: each member scores the scan, and the calibration joins the maps."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
import torch

from ..errors import ModelError, SettingError
from ..runtime.progress import Progress
from ..runtime.strict_json import from_json, plain
from ..scoring.restoration import Restoration
from .base import Method
from .registry import METHODS

NAME = "ensemble"
MEMBER_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
MOST_MEMBERS = 4
# Between the name of a member and that of its tensor; no name of a member has it.
SEPARATOR = "/"


@dataclass(frozen=True)
class Member:
    """A member of an ensemble.

    Attributes:
        name: Name of the member: that of its model.
        method: Name of its method in the registry.
        parameters: Parameters of the method, unchecked, as in a model file.
    """

    name: str
    method: str
    parameters: dict

    def __post_init__(self) -> None:
        if not re.fullmatch(MEMBER_NAME, self.name, re.ASCII):
            raise SettingError("member_name", name=self.name)
        if self.method == NAME or self.method not in METHODS:
            raise SettingError("member_method", method=self.method)


@dataclass(frozen=True)
class EnsembleParameters:
    """Members of an ensemble, 2 to `MOST_MEMBERS`, each with a name of its own."""

    members: tuple[Member, ...]

    found: ClassVar[tuple[str, ...]] = ("members",)

    def __post_init__(self) -> None:
        if not 2 <= len(self.members) <= MOST_MEMBERS:
            raise SettingError("member_count", most=MOST_MEMBERS)
        if len({member.name for member in self.members}) < len(self.members):
            raise SettingError("members_of_one_name")


class Ensemble(Method):
    """Several methods that score the same scan.

    The raw scores of the members have different units. The score is therefore not joined here but in the calibration,
    which makes rarities of the map of each member and joins those, see `scoring.calibration.Calibration`. The
    pseudo-healthy image and the sample score are those of the first member.
    """

    name = NAME
    Parameters = EnsembleParameters

    def __init__(self, methods: Mapping[str, Method]):
        """Join methods, by name."""
        self.methods = dict(methods)
        parts = ((name, method.name, plain(asdict(method.parameters))) for name, method in self.methods.items())
        self.parameters = EnsembleParameters(tuple(Member(*part) for part in parts))

    @property
    def members(self) -> tuple[str, ...]:
        """Names of the members, in the order of the score maps."""
        return tuple(self.methods)

    def networks(self) -> dict[str, torch.nn.Module]:
        """Return the networks of the members by the prefix of their tensors."""
        return {
            f"{name}{SEPARATOR}{prefix}": network
            for name, method in self.methods.items()
            for prefix, network in method.networks().items()
        }

    def tensors(self) -> dict[str, np.ndarray]:
        """Return the tensors of the members; the name of the member comes before that of the tensor."""
        return {
            f"{name}{SEPARATOR}{key}": array
            for name, method in self.methods.items()
            for key, array in method.tensors().items()
        }

    @classmethod
    def from_tensors(cls, parameters: EnsembleParameters, tensors: dict[str, np.ndarray]) -> Ensemble:
        """Build the members from saved parameters and tensors.

        Raises:
            ModelError: If they do not fit.
        """
        own: dict[str, dict[str, np.ndarray]] = {member.name: {} for member in parameters.members}
        for key, array in tensors.items():
            name, _, rest = key.partition(SEPARATOR)
            if name not in own:
                raise ModelError("tensor_unknown", method=cls.name, tensor=key[:80])
            own[name][rest] = array
        methods = {}
        for member in parameters.members:
            kind = METHODS[member.method]
            settings = from_json(kind.Parameters, member.parameters, f"the parameters of {member.name}")
            methods[member.name] = kind.from_tensors(settings, own[member.name])
        return cls(methods)

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Return whether all members accept prepared scans of this shape (Z, Y, X)."""
        return all(method.fits(shape) for method in self.methods.values())

    def _restore(self, image: np.ndarray, mask: np.ndarray, seed: int, device: str, progress: Progress) -> Restoration:
        """Restore with each member in turn, with the same seed."""
        found = {}
        for number, (name, method) in enumerate(self.methods.items()):
            with progress.part(number / len(self.methods), (number + 1) / len(self.methods)):
                found[name] = method.restore(image, mask, seed=seed, device=device, progress=progress)
        first = next(iter(found.values()))
        facts = {name: part.facts for name, part in found.items() if part.facts}
        return Restoration(np.stack([part.score for part in found.values()]), first.restored, first.sample_score, facts)

    def faster(self) -> Ensemble | None:
        """Return the ensemble with the fast form of each member that has one; None if no member has."""
        quick = {name: method.faster() for name, method in self.methods.items()}
        if not any(quick.values()):
            return None
        return Ensemble({name: quick[name] or method for name, method in self.methods.items()})
