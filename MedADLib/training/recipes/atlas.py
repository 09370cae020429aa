"""Train the atlas: voxelwise mean and SD of healthy scans."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...methods.atlas import Atlas, AtlasParameters
from ...methods.settings import check_names
from ...runtime.progress import Progress
from ..data import HealthyData

if TYPE_CHECKING:
    from ..config import Options


def check_settings(options: Options) -> None:
    """Refuse every setting: the atlas has none.

    Raises:
        InputError: If there is one.
    """
    check_names(AtlasParameters, options.extra)


def train(data: HealthyData, options: Options, folder: Path, progress: Progress) -> tuple[Atlas, dict]:
    """Compute the atlas of the training scans.

    See `trainers.Trainer`. Mirror images of the scans count if the template is symmetric; options may set nothing.

    Raises:
        InputError: If a setting is chosen.
        ModelError: If there are too few scans.
    """
    check_settings(options)
    return Atlas.train(data.train, tuple(data.template.image.spacing), data.template.symmetric), {}
