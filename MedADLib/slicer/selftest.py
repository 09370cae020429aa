"""Parts of the module's self test: a worker that finds a cube in any scan, and a tiny head."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import slicer

from ..detection import Detection
from ..errors import MedADError
from ..results.exchange import read_volume, write_exchange
from ..scoring.healthy_reference import HealthyReference, Threshold
from ..scoring.regions import find_regions
from ..volume import Volume
from .scene.volumes import image_from_array, matrix_from_array
from .worker.client import Job, JobListener

HEIGHT = 5.0
THRESHOLD = 3.0
HEAD_SIZE, HEAD_SPACING = 50, 4.0


class NothingMissing:
    """An installer for a Slicer that has all packages."""

    def missing(self) -> list:
        """Return no package."""
        return []

    def installed(self) -> bool:
        """Return False: the stand-in for the computation judges no scan before a run."""
        return False


class CubeClient:
    """Stand-in for `WorkerClient`; with a failure message, every run fails with it."""

    def __init__(self, failure: str = ""):
        self._failure = failure
        self.busy = False
        self.on_log = None
        self.idle_seconds = 60

    def detect(self, job: Job, listener: JobListener) -> None:
        """Find the cube at once, in this process."""
        listener.progress("restoration", 0.5, "restoring")
        if self._failure:
            listener.failed("InputError", self._failure)
            return
        Path(job.output).mkdir()
        write_exchange(find_cube(read_volume(Path(job.input))), Path(job.output))
        listener.done(job.output, 0.1)

    def cancel(self) -> None:
        """Do nothing: no run is going on."""

    def cancel_judgement(self) -> None:
        """Do nothing: no scan is being judged."""

    def stop(self) -> None:
        """Do nothing: there is no process."""


@contextmanager
def panel_for_test(widget: Any, resources: Path) -> Iterator[bool]:
    """List the tiny model of the module's resources in the panel while the block runs.

    Yields whether the real worker computes; otherwise, with packages missing, `CubeClient` does.
    """
    logic, models = widget.logic, os.environ.get("MEDAD_MODELS")
    client, installer = logic.client, logic.installer
    try:
        real = not installer.missing()
    except MedADError:
        real = False
    os.environ["MEDAD_MODELS"] = str(resources)
    client.stop()
    if not real:
        logic.client, logic.installer = CubeClient(), NothingMissing()
    try:
        widget.panel.resume()
        yield real
    finally:
        client.stop()
        logic.client, logic.installer = client, installer
        if models is None:
            del os.environ["MEDAD_MODELS"]
        else:
            os.environ["MEDAD_MODELS"] = models
        widget.panel.resume()


def find_cube(volume: Volume) -> Detection:
    """Make a detection with one cube of 27 voxels for any scan."""
    anomaly = np.zeros(volume.array.shape, dtype=np.float32)
    anomaly[3:6, 4:7, 5:8] = HEIGHT
    anomaly = volume.with_array(anomaly)
    reference = HealthyReference(
        maxima=np.array([4.0, 4.5]),
        sample_scores=np.array([1.0, 2.0]),
        thresholds=np.array([0.0, THRESHOLD, 6.0]),
        false_positive_ml=np.array([100.0, 1.0, 0.0]),
        brain_ml=1000.0,
        threshold=Threshold(1.0, "ml"),
    )
    labels, regions = find_regions(anomaly, THRESHOLD, reference.region_p_value, 0.0)
    return Detection(
        volume=volume,
        mask=volume.with_array(np.ones(volume.array.shape, dtype=np.uint8)),
        anomaly=anomaly,
        restored=volume,
        labels=volume.with_array(labels),
        regions=regions,
        threshold=THRESHOLD,
        expected_false_positive_ml=1.0,
        score=HEIGHT,
        p_value=reference.sample_p_value(HEIGHT),
        healthy_count=reference.count,
        reference=reference,
        provenance={
            "model": {"name": "cube", "version": "1.0.0", "sha256": "0" * 64},
            "method": "cube",
            "seed": 0,
            "settings": {"threshold": "1ml", "smallest_region_ml": 0.0},
            "device": "cpu",
        },
        warnings=(),
    )


def add_tiny_head(scene: slicer.vtkMRMLScene) -> tuple[slicer.vtkMRMLScalarVolumeNode, np.ndarray]:
    """Add a synthetic head without skull, with a dark ball in its white matter, to a scene.

    Returns the new volume, and the ball as a bool array of its shape.
    """
    z, y, x = (np.arange(HEAD_SIZE) - (HEAD_SIZE - 1) / 2 for _ in range(3))
    z, y, x = np.meshgrid(z * HEAD_SPACING, y * HEAD_SPACING, x * HEAD_SPACING, indexing="ij")
    radius = np.sqrt((x / 66) ** 2 + (y / 84) ** 2 + (z / 60) ** 2)
    ventricle = ((np.abs(x / 66) - 0.14) / 0.09) ** 2 + ((y / 84 + 0.05) / 0.35) ** 2 + (z / 60 / 0.2) ** 2 < 1
    lesion = (x - 30) ** 2 + (y - 30) ** 2 + (z - 10) ** 2 < 12**2
    values = np.select([radius > 1, ventricle, radius > 0.82, lesion], [0.0, 150.0, 550.0, 300.0], 900.0)
    values += (radius <= 1) * np.random.default_rng(0).normal(0, 15, values.shape)
    affine = np.diag([HEAD_SPACING] * 3 + [1.0])
    affine[:3, 3] = -HEAD_SPACING * (HEAD_SIZE - 1) / 2
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "tiny head")
    node.SetIJKToRASMatrix(matrix_from_array(affine))
    node.SetAndObserveImageData(image_from_array(np.maximum(values, 0).astype(np.float32)))
    return node, lesion & (radius <= 1)
