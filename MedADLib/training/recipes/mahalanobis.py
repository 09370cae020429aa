"""Train the Mahalanobis distance: voxelwise mean and covariance of the features of healthy scans."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...methods.mahalanobis import Mahalanobis, MahalanobisParameters
from ...methods.settings import check_names
from ...runtime.progress import Progress
from ..data import HealthyData

if TYPE_CHECKING:
    from ..config import Options


def check_settings(options: Options) -> None:
    """Refuse every setting: the method has none.

    Raises:
        InputError: If there is one.
    """
    check_names(MahalanobisParameters, options.extra)


def train(data: HealthyData, options: Options, folder: Path, progress: Progress) -> tuple[Mahalanobis, dict]:
    """Compute mean and covariance over the training scans; 3 to 4 s for each scan of a brain.

    See `trainers.Trainer`. Mirror images of the scans count if the template is symmetric; options may set nothing.

    Raises:
        InputError: If a setting is chosen.
        ModelError: If there are too few scans.
    """
    check_settings(options)
    progress.stage("mean and covariance", 0.1, 0.88)
    spacing = tuple(data.template.image.spacing)
    return Mahalanobis.train(data.train, spacing, data.template.symmetric, progress), {}
