"""What the list of models shows of each file: its manifest, not its weights."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from . import archive
from .entries import TEXT_BYTES, from_json
from .errors import ModelError
from .manifest import MANIFEST, MethodEntry, manifest_of, naming

# Of each method: a short title that differs in its first word, and what it does with a scan.
METHODS = {
    "atlas": ("Atlas", "compares each voxel with the mean and SD of healthy scans"),
    "autoencoder": ("Autoencoder", "reconstructs the scan from a compressed code"),
    "latent_restoration": ("Restoration", "resamples what is improbable in healthy scans, slice by slice"),
    "vae": ("Variational autoencoder", "reconstructs the scan from a probabilistic code"),
    "context_encoder": ("Context encoder", "reconstructs each part from its surroundings"),
    "cevae": ("Context-encoding VAE", "reconstructs the scan, trained to fill masked parts"),
    "vae_tv": ("VAE restoration", "changes the scan until it is probable, with total variation as a penalty"),
    "gmvae_tv": ("Mixture VAE restoration", "changes the scan until it is probable in one of several classes"),
    "vae_gan": ("VAE-GAN", "reconstructs the scan, trained against a discriminator"),
    "adversarial_autoencoder": ("Adversarial autoencoder", "reconstructs the scan from a code as of healthy scans"),
    "f_anogan": ("f-AnoGAN", "generates the healthy scan most similar to it"),
    "fpi": ("Foreign patch interpolation", "segments what looks pasted in"),
    "denoising": ("Denoising", "removes what looks like noise"),
    "implicit_field": ("Implicit field", "fits the healthy brain most similar to it"),
    "morphaeus": ("MorphAEus", "deforms a reconstruction until it fits"),
    "volume_restoration": ("Whole-brain restoration", "resamples what is improbable in healthy scans, in 3-D"),
}
# Of the models that ship with MedAD, by method.
NOTES = {"latent_restoration": "recommended", "atlas": "fastest"}


@dataclass(frozen=True)
class ModelSummary:
    """One line of the list of models; of a bad file nothing but its path, size and error is known.

    Attributes:
        name: The name to type: the file's stem.
        path: The file.
        version: Version of the model, such as ``1.0.0``.
        description: One line on what it is for.
        modality: The kind of scan it knows.
        method: Name of its method.
        created: ISO date, or date and time.
        error: What is wrong with the file; empty if nothing is.
        size_bytes: Of the file.
        kind: ``3-D`` for brains, ``2-D`` for single slices, ``3-D field`` for volumes by their whole field of view.
        own: Whether it is in the user's own folder, where models can be removed.
    """

    name: str
    path: Path
    version: str = ""
    description: str = ""
    modality: str = ""
    method: str = ""
    created: str = ""
    error: str = ""
    size_bytes: int = 0
    kind: str = "3-D"
    own: bool = False

    @property
    def title(self) -> str:
        """A short name for lists: ``Restoration (recommended)``; of the user's own models, their name first."""
        method = METHODS.get(self.method, ("",))[0]
        if self.own or not method:
            return f"{self.name} ({method})" if method else self.name
        note = NOTES.get(self.method)
        return f"{method} ({note})" if note else method

    @property
    def purpose(self) -> str:
        """What it is for: ``T1-weighted MR of the brain (reconstructs the scan from a compressed code)``."""
        if not self.modality:
            return self.description
        shown = {"2-D": ", single slices", "3-D field": ", whole field of view"}.get(self.kind, "")
        how = METHODS.get(self.method, ("", ""))[1]
        return f"{self.modality}{shown}{f' ({how})' if how else ''}"

    @property
    def line(self) -> str:
        """The model in a list on a console: fields parted by tabs."""
        facts = (self.name, self.version, self.method, self.error or self.purpose)
        return "\t".join((*facts, f"{self.size_bytes / 1e6:.1f} MB", self.created[:10]))


def titles(models: Sequence[ModelSummary]) -> list[str]:
    """The titles of models in one list; where two are the same, with the models' names."""
    counts = Counter(model.title for model in models)
    return [model.title if counts[model.title] == 1 else f"{model.title}, {model.name}" for model in models]


def own_folder() -> Path:
    """The user's own models, outside MedAD, so that an update of the extension leaves them alone."""
    return Path(os.path.expanduser("~")) / ".medad" / "models"


def summary_of(path: str | os.PathLike) -> ModelSummary:
    """The summary of a file's manifest, or of what is wrong with it."""
    path, size = Path(path), 0
    own = path.parent == own_folder()
    with suppress(OSError):
        size = path.stat().st_size
    try:
        files = archive.read_archive(path, archive.Caps(entry_bytes=TEXT_BYTES), only=(MANIFEST,))
        with naming(path):
            manifest = manifest_of(files)
            method, kind = from_json(MethodEntry, manifest.method, "method").name, manifest.kind
    except ModelError as error:
        return ModelSummary(path.stem, path, error=str(error), size_bytes=size, own=own)
    return ModelSummary(
        name=path.stem,
        path=path,
        version=manifest.version,
        description=manifest.description,
        modality=manifest.modality,
        method=method,
        created=manifest.created,
        size_bytes=size,
        kind=kind,
        own=own,
    )
