"""What the list of models shows of each file: its manifest, not its weights."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from . import archive
from .entries import TEXT_BYTES, from_json
from .errors import ModelError
from .manifest import MANIFEST, MethodEntry, manifest_of, naming

# What each method does with a scan, for people who have not heard of it.
METHODS_IN_WORDS = {
    "atlas": "compares with an average of healthy scans",
    "autoencoder": "redraws the scan from a summary of it",
    "latent_restoration": "redraws what looks unlikely",
    "vae": "redraws the scan from an uncertain summary of it",
    "context_encoder": "fills holes from what is around them",
    "cevae": "redraws the scan, trained to fill holes",
    "vae_tv": "changes the scan until it looks likely",
    "gmvae_tv": "changes the scan until it looks likely to one of several kinds of tissue",
    "vae_gan": "redraws the scan so that a critic takes it for real",
    "adversarial_autoencoder": "redraws the scan from a summary like those of healthy scans",
    "f_anogan": "looks for the healthiest scan that is like it",
    "fpi": "finds what looks pasted in",
    "denoising": "takes away what looks like noise",
    "implicit_field": "looks for the healthy brain that is most like it",
    "morphaeus": "deforms a healthy picture until it fits",
    "volume_restoration": "redraws what looks unlikely in the whole brain",
}


@dataclass(frozen=True)
class ModelSummary:
    """One line of the list of models; of a bad file nothing but its place, size and error is known.

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
    def purpose(self) -> str:
        """What it is for, for people: ``T1-weighted MR of the brain (redraws what looks unlikely)``."""
        if not self.modality:
            return self.description
        shown = {"2-D": ", single slices", "3-D field": ", whole field of view"}.get(self.kind, "")
        how = METHODS_IN_WORDS.get(self.method)
        return f"{self.modality}{shown}{f' ({how})' if how else ''}"

    @property
    def line(self) -> str:
        """The model in a list on a console: fields parted by tabs."""
        facts = (self.name, self.version, self.method, self.error or self.purpose)
        return "\t".join((*facts, f"{self.size_bytes / 1e6:.1f} MB", self.created[:10]))


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
