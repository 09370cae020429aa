"""All measurements of ``medad benchmark`` and their report."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from pathlib import Path

from ..errors import InputError, MedADError
from ..methods.latent_restoration import LatentRestoration
from ..modelfile.model import Model, load_model
from ..modelfile.store import shipped_models
from ..runtime.atomic_files import staging_folder, writable_folder
from ..runtime.device import resolve
from ..runtime.progress import Progress
from .device_check import Case, DeviceCheck
from .micro import products, volume_race
from .report import Measured, write_report
from .samplers import PUBLISHED_SAMPLES, as_published, race
from .scaling import growth
from .standard_scan import StandardScan, standard_scan
from .whole_runs import WholeRun, cold_command, warm_worker

GPU = "gpu"


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
        what: Any of "gpu", "samplers", "volumes", "runs", "scaling" and "products".
        name: Model of the brain, installed or a file; for all but "gpu", of latent restoration of slices.
        output: Folder for tables, figure and report.
        path: Scan without its skull; None takes the MNI152 brain.
        also: Other models, for whole detections and, besides the shipped ones, for the check of a GPU.
        runs: Runs of each measurement but products.
        device: Requested device.
        monai: Whether to measure the sampling of MONAI.
        progress: Receives the stages and steps; may cancel.

    Returns:
        The files written.

    Raises:
        MedADError: If scan or model cannot be used; or if a GPU gives other maps than the CPU, after the report is
            written.
    """
    device, model = resolve(device), load_model(name)
    if model.method.name != LatentRestoration.name and set(what) != {GPU}:
        raise InputError("slice_restoration_needed", model=model.name)
    if model.template.kind != "brain":
        raise InputError("brain_model_needed", model=model.name)
    for other in also:
        load_model(other)
    scan, measured = None, Measured("", f"{model.name} {model.version}")
    with writable_folder(output):
        if not {GPU, "samplers", "runs", "scaling"}.isdisjoint(what):
            progress.stage("scan", 0.0, 0.05, "putting a lesion into the scan")
            scan = standard_scan(model.template, path)
            measured.scan = scan.name
        if GPU in what:
            progress.stage("GPU", 0.05, 0.95 if set(what) == {GPU} else 0.1)
            check = DeviceCheck(device, runs)
            for case in _cases(model, also, scan):
                measured.gpu += check.check(case, progress)
        if "samplers" in what:
            progress.stage("samplers", 0.1, 0.38)
            published, given = as_published(model.method), (scan.prepared.image, scan.prepared.mask)
            measured.race = race(published, *given, scan.lesion, runs, monai, progress, device)
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
    if apart := sorted({row.model for row in measured.gpu if not row.agrees}):
        raise MedADError("maps_of_gpu_differ", models=", ".join(apart), table=output / "gpu.tsv")
    progress.finish()
    return written


def _cases(model: Model, also: Sequence[str], scan: StandardScan) -> Iterator[Case]:
    """Prepare the scan for a model, and for all other models of the brain that ship or are named."""
    names = [*also, *(summary.name for summary in shipped_models() if not summary.error)]
    yield Case.of(model, scan.volume, scan.brain.array > 0)
    for name in dict.fromkeys(names):
        other = load_model(name)
        if other.sha256 != model.sha256 and other.template.kind == "brain":
            yield Case.of(other, scan.volume, scan.brain.array > 0)


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
