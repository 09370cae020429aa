"""Files of one detection: written to a staging folder, then put in place together, all of them or none.

`STEM_regions.tsv` has one row per region: rank (1 is the most anomalous), label (its value in `STEM_regions.nii.gz`),
volume_ml, peak and mean (rarity: −log10 of the share of healthy voxels that reach the value; in a result of an earlier
version z-scores, SD above the healthy mean), p_value (how often a healthy scan holds such a peak), q_value
(Benjamini-Hochberg over the regions of this scan; both n/a if the scan does not fit the model), the centroid in RAS mm,
its bounding box in RAS mm (voxel edges), the same box in voxel indices along the axes of the file (start inclusive,
stop exclusive), the position of the peak in RAS mm, and the side (R, L, bilateral; empty where no midline is known).
For an image without spacing or orientation, cells in mL and mm are empty, and a last column `pixels` has the size.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import OutputError
from ..io.nifti import nifti_position
from ..io.reading_options import READING
from ..io.volume_writing import write_nifti, write_nrrd
from ..runtime.atomic_files import put_in_place, staging_folder, sweep
from ..runtime.progress import Progress
from ..runtime.strict_json import plain
from ..runtime.tables import table_text
from ..volume import Volume
from .colours import region_colour
from .decisions import accepted, default_name
from .record import Record
from .text import count_of_regions, in_pixels, verdict

if TYPE_CHECKING:
    from ..detection import Detection
    from ..io.reading_options import ReadingOptions
    from ..scoring.regions import Region
    from .decisions import Decision

# The coded meaning of a region, as Slicer writes it into segments.
CODE = "SCT^49755003^Morphologically Altered Structure"
# The type is not narrower than the category: a detector of anomalies cannot tell a mass from a haemorrhage.
TERMINOLOGY = (
    f"Segmentation category and type - 3D Slicer General Anatomy list~{CODE}~{CODE}~^^"
    "~Anatomic codes - DICOM master list~^^~^^"
)

RESULT_SUFFIXES = (
    *("_anomaly.nii.gz", "_restored.nii.gz", "_regions.nii.gz", "_regions.seg.nrrd", "_regions.tsv"),
    *(".json", "_examined.nii.gz", ".png"),
)
COLUMNS = (
    *("rank", "label", "volume_ml", "peak", "mean", "p_value", "q_value", "centroid_r", "centroid_a", "centroid_s"),
    *("box_r_min", "box_r_max", "box_a_min", "box_a_max", "box_s_min", "box_s_max"),
    *("voxel_x_start", "voxel_x_stop", "voxel_y_start", "voxel_y_stop", "voxel_z_start", "voxel_z_stop"),
    *("peak_r", "peak_a", "peak_s", "side"),
)
# In mL or mm of the patient.
PHYSICAL_COLUMNS = {name for name in COLUMNS if name == "volume_ml" or name.split("_")[1:2] in (["r"], ["a"], ["s"])}
GENERATOR = "MedAD"
# In place of the verdict, if the scan does not fit the model.
NOT_INTERPRETABLE = "NOT INTERPRETABLE"


def check_ours(folder: Path, stem: str) -> None:
    """Refuse to replace files that MedAD did not write, such as the BIDS sidecar of a scan.

    A result of which a killed process had moved a part is completed first.

    Raises:
        OutputError: If a file with the name of a result exists without the facts that MedAD writes beside it.
    """
    sweep(folder)
    present = [name for suffix in RESULT_SUFFIXES if (folder / (name := f"{stem}{suffix}")).exists()]
    try:
        facts = json.loads((folder / f"{stem}.json").read_text(encoding="utf-8"))
        ours = isinstance(facts, dict) and facts.get("generated_by") == GENERATOR
    except (OSError, ValueError):
        ours = False
    if present and not ours:
        raise OutputError("not_our_file", path=folder / present[0])


def check_same_scan(folder: Path, stem: str, source: Path | None, digest: str | None) -> None:
    """Refuse to replace the result of another scan of the same name.

    Args:
        folder: Folder of the results.
        stem: Beginning of the file names.
        source: File of the scan, if it has one: the result of this file may be replaced, though it has changed.
        digest: The `content_hash` of the scan; None if it is not known.

    Raises:
        OutputError: If the folder holds the result of another scan under this name.
    """
    try:
        facts = json.loads((folder / f"{stem}.json").read_text(encoding="utf-8"))
        recorded, before = facts["input"].get("path"), facts["input"]["sha256"]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return
    if digest in (None, before):
        return
    if isinstance(recorded, str) and source is not None:
        try:
            if os.path.realpath(folder / recorded) == os.path.realpath(source):
                return
        except (OSError, ValueError):
            pass
    raise OutputError("folder_of_another_scan", folder=folder, name=stem)


def with_reading(detection: Detection, options: ReadingOptions) -> Detection:
    """Record what the user said about the file of the scan, so that the result finds its scan again."""
    known = {**detection.provenance.get("input", {}), READING: options.as_json()}
    return replace(detection, provenance={**detection.provenance, "input": known})


def write_detection(
    detection: Detection,
    folder: Path,
    stem: str,
    figure: bool = True,
    source: Path | None = None,
    progress: Progress | None = None,
    decisions: Mapping[int, Decision] | None = None,
    anonymous: bool = False,
) -> list[Path]:
    """Write all files of a detection or none.

    Files of an earlier run with the same stem are replaced together; other files in the folder are not touched.

    Args:
        detection: The result.
        folder: Destination; it must exist.
        stem: Beginning of the file names.
        figure: Whether to draw ``STEM.png``.
        source: File of the scan; NIfTI results then keep both positions (qform, sform) of its header.
        progress: Receives each file; may cancel. Its seconds are added to the facts.
        decisions: Decisions of a reader, by rank. Rejected regions then appear only in the facts, under ``rejected``;
            the others keep their ranks, and have their names in the segmentation and, under ``names``, in the facts.
        anonymous: Whether to leave the path of the scan out of the facts.

    Returns:
        The files: anomaly, restored, regions, segmentation, table, facts, examined part, figure.

    Raises:
        OutputError: If one cannot be written, for example on a full disk; everything is as it was before.
        Cancelled: If the user asked to stop; everything is as it was before.
    """
    profile, progress = progress and progress.seconds, progress or Progress()
    read = {} if decisions is None else _reading(detection, decisions)
    names = read.get("names", {})
    detection = accepted(detection, decisions or {})
    named = None if anonymous else source
    position = None
    if source is not None and source.is_file():
        position = nifti_position(source, detection.volume.affine)
    writers: dict[str, Callable[[Path], None]] = {
        "_anomaly.nii.gz": lambda path: write_nifti(detection.anomaly, path, position),
        "_restored.nii.gz": lambda path: write_nifti(detection.restored, path, position),
        "_regions.nii.gz": lambda path: write_nifti(detection.labels, path, position),
        "_regions.seg.nrrd": lambda path: _write_segmentation(detection, path, names),
        "_regions.tsv": lambda path: path.write_text(_table(detection), encoding="utf-8"),
        ".json": lambda path: path.write_text(_facts(detection, folder, named, read, profile), encoding="utf-8"),
        "_examined.nii.gz": lambda path: write_nifti(detection.mask, path, position),
    }
    if figure:
        writers[".png"] = lambda path: _draw(detection, path)
    try:
        with staging_folder(folder) as staging:
            # The facts hold the seconds of the other files, so they are written last.
            for number, suffix in enumerate(sorted(writers, key=lambda suffix: suffix == ".json")):
                progress.update(number / len(writers), f"writing {stem}{suffix}")
                with progress.timed("picture" if suffix == ".png" else "write"):
                    writers[suffix](staging / f"{stem}{suffix}")
            progress.update(1.0, "")
            files = [f"{stem}{suffix}" for suffix in writers]
            # The facts say that the files beside them are of MedAD and complete.
            moved = sorted(files, key=lambda name: name == f"{stem}.json")
            obsolete = [f"{stem}{suffix}" for suffix in RESULT_SUFFIXES]
            # Again, because another process may have written the result of another scan since the first check.
            digest = detection.provenance.get("input", {}).get("sha256")
            put_in_place(staging, folder, moved, obsolete, lambda: check_same_scan(folder, stem, source, digest))
            return [folder / name for name in files]
    except MemoryError as error:
        raise OutputError("result_memory", name=stem) from error
    except OSError as error:
        reason = error.strerror or error
        raise OutputError("result_unwritable", name=stem, folder=folder, reason=reason) from error


def _reading(detection: Detection, decisions: Mapping[int, Decision]) -> dict:
    """Return decisions as facts: the rejected regions, and names other than the default."""
    given = {region.rank: decisions[region.rank].name for region in detection.regions if region.rank in decisions}
    defaults = {region.rank: default_name(region) for region in detection.regions}
    return {
        "rejected": [r for r in detection.regions if r.rank in decisions and not decisions[r.rank].kept],
        "names": {rank: name for rank, name in given.items() if name != defaults[rank]},
    }


def _write_segmentation(detection: Detection, path: Path, names: Mapping[int, str]) -> None:
    """Write the regions as a Slicer segmentation: a label map with a header that describes each label."""
    fields = {
        "Segmentation_ContainedRepresentationNames": "Binary labelmap|",
        "Segmentation_MasterRepresentation": "Binary labelmap",
        "Segmentation_SourceRepresentation": "Binary labelmap",
        "Segmentation_ReferenceImageExtentOffset": "0 0 0",
    }
    for number, region in enumerate(detection.regions):
        x0, x1, y0, y1, z0, z1 = region.bounding_box
        segment = {
            "ID": f"Region_{region.rank}",
            "Name": names.get(region.rank, default_name(region)),
            "NameAutoGenerated": "0",
            "Color": " ".join(f"{part:.6g}" for part in region_colour(region.rank)),
            "ColorAutoGenerated": "0",
            "LabelValue": str(region.label),
            "Layer": "0",
            "Extent": f"{x0} {x1 - 1} {y0} {y1 - 1} {z0} {z1 - 1}",
            "Tags": f"TerminologyEntry:{TERMINOLOGY}|",
        }
        fields.update({f"Segment{number}_{key}": value for key, value in segment.items()})
    write_nrrd(detection.labels, path, fields)


def _table(detection: Detection) -> str:
    """Return the regions as tab-separated text, one line each below a line of column names."""
    rows, image = [], in_pixels(detection)
    for region in detection.regions:
        numbers = (region.volume_ml, region.peak, region.mean, region.p_value, region.q_value, *region.centroid_ras)
        # As in tables of BIDS; the p-values of a result that is not interpretable.
        shown = ("n/a" if np.isnan(number) else f"{number:.6g}" for number in numbers)
        cells = [str(region.rank), str(region.label), *shown]
        cells += [f"{edge:.6g}" for edge in _box_ras(detection.volume, region)]
        cells += [str(int(index)) for index in region.bounding_box]
        cells += [*(f"{mm:.6g}" for mm in region.peak_ras), region.side]
        if image:
            cells = ["" if name in PHYSICAL_COLUMNS else cell for name, cell in zip(COLUMNS, cells)]
            cells.append(str(round(region.volume_ml / detection.volume.voxel_ml)))
        rows.append(cells)
    return table_text((*COLUMNS, "pixels") if image else COLUMNS, rows)


def _box_ras(volume: Volume, region: Region) -> list[float]:
    """Return the RAS box around the voxels of a region: right, anterior, superior, each min and max in mm."""
    edges = np.array(region.bounding_box, dtype=float).reshape(3, 2) - 0.5
    corners = volume.ras_from_voxels([[z, y, x] for x in edges[0] for y in edges[1] for z in edges[2]])
    return np.stack([corners.min(axis=0), corners.max(axis=0)], axis=1).ravel().tolist()


def _facts(
    detection: Detection, folder: Path, source: Path | None, read: dict, profile: Mapping[str, float] | None
) -> str:
    """Return all that is needed to judge the result or to open it again, with the seconds of the profile, as JSON."""
    scan = dict(detection.provenance.get("input", {}))
    if source is not None:
        try:
            # A relative path stays valid when a study is moved as a whole.
            scan["path"] = Path(os.path.relpath(source, folder)).as_posix()
        except ValueError:
            # Windows has no relative path from one drive to another.
            scan["path"] = source.resolve().as_posix()
    facts: dict[str, Any] = {"generated_by": GENERATOR}
    if detection.interpretable:
        facts["smallest_p_value"] = detection.reference.smallest_p
    else:
        facts["verdict"] = NOT_INTERPRETABLE
    for key, value in Record.of(detection, profile).as_json().items():
        facts.update(value if key == "provenance" else {key: value})
    facts["summary"] = [str(verdict(detection)), str(count_of_regions(detection))]
    return json.dumps({**facts, "input": scan, **plain(read)}, indent=2, allow_nan=False) + "\n"


def _draw(detection: Detection, path: Path) -> None:
    from .figure import draw

    draw(detection, path)
