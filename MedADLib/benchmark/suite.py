"""All measurements of ``medad benchmark`` and their report."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path

from ..errors import InputError
from ..methods.latent_restoration import LatentRestoration
from ..modelfile.model import load_model
from ..runtime.atomic_files import staging_folder, writable_folder
from ..runtime.device import resolve
from ..runtime.progress import Progress
from .micro import agreement, products, volume_race
from .report import Measured, write_report
from .samplers import PUBLISHED_SAMPLES, as_published, race
from .scaling import growth
from .standard_scan import StandardScan, standard_scan
from .whole_runs import WholeRun, cold_command, warm_worker


def measure(
    what: Collection[str],
    name: str,
    output: Path,
    path: Path | None,
    also: Sequence[str],
    runs: int,
    device: str,
    monai: bool,
    progress: Progress,
) -> list[Path]:
    """Measure, and write the report.

    Args:
        what: Any of "samplers", "volumes", "runs", "scaling" and "products".
        name: Model of latent restoration of slices of the brain, installed or a file.
        output: Folder for tables, figure and report.
        path: Scan without its skull; None takes the MNI152 brain.
        also: Other models, for whole detections.
        runs: Runs of each measurement but products.
        device: Requested device.
        monai: Whether to measure the sampling of MONAI.
        progress: Receives the stages and steps; may cancel.

    Returns:
        The files written.

    Raises:
        MedADError: If scan or model cannot be used.
    """
    device, model = resolve(device), load_model(name)
    if model.method.name != LatentRestoration.name:
        raise InputError("slice_restoration_needed", model=model.name)
    if model.template.kind != "brain":
        raise InputError("brain_model_needed", model=model.name)
    for other in also:
        load_model(other)
    scan, measured = None, Measured("", f"{model.name} {model.version}")
    with writable_folder(output):
        if not {"samplers", "runs", "scaling"}.isdisjoint(what):
            progress.stage("scan", 0.0, 0.05, "putting a lesion into the scan")
            scan = standard_scan(model.template, path)
            measured.scan = scan.name
        if "samplers" in what:
            progress.stage("samplers", 0.05, 0.38)
            published, given = as_published(model.method), (scan.prepared.image, scan.prepared.mask)
            measured.race = race(published, *given, scan.lesion, runs, monai, progress, device)
            if device != "cpu":
                measured.device = [agreement(published, *given, device, runs)]
        if "volumes" in what:
            progress.stage("volumes", 0.38, 0.4)
            measured.volumes = volume_race(PUBLISHED_SAMPLES, runs, progress, device)
        if "runs" in what:
            progress.stage("whole detections", 0.4, 0.7)
            measured.runs = _whole_runs(scan, name, also, runs, device, progress)
        if "scaling" in what:
            progress.stage("scaling", 0.7, 1.0)
            measured.growth = growth(model, scan, runs, progress, device)
        if "products" in what:
            measured.products = products(model.method.prior.to("cpu"))
        written = write_report(measured, output)
    progress.finish()
    return written


def _whole_runs(
    scan: StandardScan, name: str, also: Sequence[str], runs: int, device: str, progress: Progress
) -> list[WholeRun]:
    """Measure cold and warm detections by all models, by the first one also in fast mode."""
    found, ways = [], [(name, False), (name, True), *((other, False) for other in also)]
    with staging_folder(Path(tempfile.gettempdir())) as folder:
        path = folder / "scan.nii.gz"
        scan.volume.write(path)
        for number, (model, fast) in enumerate(ways):

            def report(half: float = 0.0, number: int = number, model: str = model) -> None:
                progress.update((number + half) / len(ways), f"{model}, {'warm' if half else 'cold'}")

            found.append(cold_command(path, model, runs, fast, device, report))
            found.append(warm_worker(scan.volume, model, runs, fast, device, partial(report, 0.5)))
    return found
