"""The files of a detection: complete, strict, in place together, and nothing of a run that failed."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from support.source_code import ROOT
from support.synthetic import GEOMETRIES, brain_volume, synthetic_detection

from MedADLib.errors import Cancelled, OutputError
from MedADLib.io.reading import read_image
from MedADLib.results import colours, writing
from MedADLib.results.writing import check_ours, write_detection
from MedADLib.runtime import atomic_files
from MedADLib.runtime.atomic_files import check_writable, writable_folder
from MedADLib.runtime.progress import Progress
from MedADLib.volume import Volume

NAMES = {
    f"case{suffix}"
    for suffix in (
        *("_anomaly.nii.gz", "_restored.nii.gz", "_regions.nii.gz", "_regions.seg.nrrd", "_regions.tsv"),
        *(".json", "_examined.nii.gz", ".png"),
    )
}


def content(folder):
    """Every path below a folder, with the hash of what is in it."""
    return {
        str(path.relative_to(folder)): path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
    }


@pytest.fixture(params=["RAS", "PSR, permuted", "oblique, left-handed"])
def detection(request):
    affine = GEOMETRIES[request.param].copy()
    affine[:3, :3] *= 3
    return synthetic_detection(brain_volume((20, 24, 22), affine=affine), spots=3)


def test_exactly_the_promised_files_are_written_and_returned(tmp_path, detection):
    files = write_detection(detection, tmp_path, "case")
    assert {path.name for path in files} == NAMES == set(os.listdir(tmp_path))
    assert all(path.parent == tmp_path and path.stat().st_size for path in files)


def test_without_an_image_there_is_none_and_an_old_one_goes(tmp_path):
    write_detection(synthetic_detection(), tmp_path, "case")
    write_detection(synthetic_detection(), tmp_path, "case", figure=False)
    assert set(os.listdir(tmp_path)) == NAMES - {"case.png"}


def test_images_have_the_values_type_and_grid_promised(tmp_path, detection):
    write_detection(detection, tmp_path, "case", figure=False)
    kinds = {
        "anomaly": (sitk.sitkFloat32, detection.anomaly),
        "restored": (sitk.sitkFloat32, detection.restored),
        "regions": (sitk.sitkInt16, detection.labels),
        "examined": (sitk.sitkUInt8, detection.mask),
    }
    for kind, (dtype, expected) in kinds.items():
        image = sitk.ReadImage(str(tmp_path / f"case_{kind}.nii.gz"))
        assert image.GetPixelID() == dtype
        assert np.array_equal(sitk.GetArrayFromImage(image), expected.array)
        assert Volume.from_sitk(image).same_grid(detection.volume, tolerance_mm=1e-3)


def test_results_keep_both_positions_of_their_scan_for_programs_that_disagree(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    volume = brain_volume()
    scan = nibabel.Nifti1Image(volume.array.transpose(2, 1, 0), None)
    turned = volume.affine.copy()
    turned[:3, :3] = [[5.9, 1.0, 0], [-1.0, 5.9, 0], [0, 0, 6]]
    turned[:3, 3] += 9
    scan.set_sform(turned, code=2)
    scan.set_qform(volume.affine, code=1)
    path = tmp_path / "scan.nii.gz"
    nibabel.save(scan, path)
    detection = synthetic_detection(read_image(path))
    for file in write_detection(detection, tmp_path, "case", figure=False, source=path)[:3]:
        result = nibabel.load(file)
        assert np.allclose(result.get_sform(), scan.get_sform(), atol=1e-4)
        assert np.allclose(result.get_qform(), scan.get_qform(), atol=1e-4)
        assert (int(result.header["sform_code"]), int(result.header["qform_code"])) == (2, 1)
        assert read_image(file).same_grid(detection.volume) if "regions" not in file.name else True


def test_equal_detections_give_equal_files(tmp_path):
    first = write_detection(synthetic_detection(), tmp_path, "case", figure=False)
    hashes = [path.read_bytes() for path in first]
    again = write_detection(synthetic_detection(), tmp_path, "case", figure=False)
    assert [path.read_bytes() for path in again] == hashes


def test_the_table_locates_each_region(tmp_path, detection):
    write_detection(detection, tmp_path, "case", figure=False)
    with (tmp_path / "case_regions.tsv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    assert tuple(rows[0])[:10] == (
        *("rank", "label", "volume_ml", "peak", "mean", "p_value", "q_value"),
        *("centroid_r", "centroid_a", "centroid_s"),
    )
    assert [int(row["rank"]) for row in rows] == [1, 2, 3]
    labels = detection.labels.array
    for row in rows:
        inside = np.argwhere(labels == int(row["label"]))
        points = detection.volume.ras_from_voxels(inside)
        assert float(row["volume_ml"]) == pytest.approx(len(inside) * detection.volume.voxel_ml, rel=1e-4)
        assert float(row["peak"]) == pytest.approx(detection.anomaly.array[labels == int(row["label"])].max(), rel=1e-4)
        for axis, name in enumerate("ras"):
            assert float(row[f"centroid_{name}"]) == pytest.approx(points[:, axis].mean(), abs=1e-3)
            assert float(row[f"box_{name}_min"]) < points[:, axis].min()
            assert float(row[f"box_{name}_max"]) > points[:, axis].max()
        for axis, name in enumerate("zyx"):
            assert int(row[f"voxel_{name}_start"]) == inside[:, axis].min()
            assert int(row[f"voxel_{name}_stop"]) == inside[:, axis].max() + 1
        peak = np.linalg.solve(detection.volume.affine, [*(float(row[f"peak_{name}"]) for name in "ras"), 1.0])
        assert detection.anomaly.array[tuple(peak[2::-1].round().astype(int))] == pytest.approx(float(row["peak"]))
        assert row["side"] in ("R", "L", "bilateral", "")
    assert tuple(rows[0])[-4:] == ("peak_r", "peak_a", "peak_s", "side"), "new columns come last"


def test_the_facts_are_strict_json_with_all_that_is_promised(tmp_path):
    provenance = {
        **synthetic_detection().provenance,
        "odd": {"nan": float("nan"), "number": np.float32(2), "path": ROOT},
    }
    detection = replace(synthetic_detection(warnings=("another contrast",)), provenance=provenance)
    write_detection(detection, tmp_path, "case", figure=False)

    def refuse(text):
        raise AssertionError(f"{text} is no JSON")

    facts = json.loads((tmp_path / "case.json").read_text("utf-8"), parse_constant=refuse)
    assert facts["score"] == detection.score and facts["p_value"] == detection.p_value
    assert facts["healthy_count"] == 6 and facts["smallest_p_value"] == pytest.approx(1 / 7)
    assert {"model", "method", "seed", "settings", "device", "versions", "seconds"} <= set(facts)
    assert facts["warnings"] == ["another contrast"]
    assert facts["odd"] == {"nan": None, "number": 2.0, "path": str(ROOT)}
    assert len(facts["regions"]) == 2


def test_no_region_gives_a_header_only_table_and_an_empty_segmentation(tmp_path):
    write_detection(synthetic_detection(spots=0), tmp_path, "case")
    assert len((tmp_path / "case_regions.tsv").read_text("utf-8").splitlines()) == 1
    assert not sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "case_regions.seg.nrrd"))).any()


def test_the_segmentation_opens_in_slicer_with_names_colours_codes_and_place(tmp_path, detection):
    pytest.importorskip("slicer.util")
    import slicer

    if not hasattr(slicer, "vtkMRMLSegmentationStorageNode"):
        pytest.skip("this slicer package has no MRML")
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkCommonCore import reference
    from vtkmodules.vtkCommonMath import vtkMatrix4x4

    write_detection(detection, tmp_path, "case", figure=False)
    scene = slicer.vtkMRMLScene()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    storage = scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(tmp_path / "case_regions.seg.nrrd"))
    assert storage.ReadData(node)
    segmentation = node.GetSegmentation()
    assert segmentation.GetSegmentIDs() == ("Region_1", "Region_2", "Region_3")
    for region in detection.regions:
        segment = segmentation.GetSegment(f"Region_{region.rank}")
        assert segment.GetName() == f"Region {region.rank}"
        assert np.allclose(segment.GetColor(), colours.region_colour(region.rank), atol=1e-4)
        assert segment.GetLabelValue() == region.label
        meaning = reference("")
        assert segment.GetTag(segment.GetTerminologyEntryTagName(), meaning)
        assert "SCT^49755003^Morphologically Altered Structure" in str(meaning)
        image, matrix = slicer.vtkOrientedImageData(), vtkMatrix4x4()
        node.GetBinaryLabelmapRepresentation(f"Region_{region.rank}", image)
        image.GetImageToWorldMatrix(matrix)
        place = np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])
        x0, x1, y0, y1, z0, z1 = image.GetExtent()
        voxels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(z1 - z0 + 1, y1 - y0 + 1, x1 - x0 + 1)
        inside = np.argwhere(voxels)
        assert len(inside) == (detection.labels.array == region.label).sum()
        points = (inside[:, ::-1] + [x0, y0, z0]) @ place[:3, :3].T + place[:3, 3]
        expected = detection.volume.ras_from_voxels(np.argwhere(detection.labels.array == region.label))
        assert np.allclose(points, expected, atol=1e-3)


# Nothing partial.


def test_a_failure_while_writing_changes_nothing(tmp_path, monkeypatch):
    write_detection(synthetic_detection(), tmp_path, "case")
    (tmp_path / "notes.txt").write_text("mine")
    before = content(tmp_path)
    for name in ("write_nifti", "_write_segmentation", "_table", "_facts", "_draw"):
        with monkeypatch.context() as patch:

            def fail(*_):
                raise OSError(28, "No space left on device")

            patch.setattr(writing, name, fail)
            with pytest.raises(OutputError, match="case.*No space left on device") as caught:
                write_detection(synthetic_detection(spots=1), tmp_path, "case")
            assert caught.value.code == "result_unwritable"
        assert content(tmp_path) == before


def test_a_failure_while_moving_brings_the_earlier_result_back(tmp_path, monkeypatch):
    write_detection(synthetic_detection(), tmp_path, "case")
    before = content(tmp_path)
    moves = []

    def fail_at_last(source, target, replace=os.replace):
        moves.append(target)
        if len(moves) == 9:
            raise OSError(13, "Permission denied")
        replace(source, target)

    monkeypatch.setattr(atomic_files.os, "replace", fail_at_last)
    with pytest.raises(OutputError, match="Permission denied"):
        write_detection(synthetic_detection(spots=1), tmp_path, "case")
    assert content(tmp_path) == before


@pytest.mark.parametrize("asked", range(1, 8))
def test_cancelling_while_writing_changes_nothing(tmp_path, asked):
    (tmp_path / "notes.txt").write_text("mine")
    before = content(tmp_path)
    calls = iter(range(20))
    with pytest.raises(Cancelled):
        write_detection(
            synthetic_detection(), tmp_path, "case", progress=Progress(cancelled=lambda: next(calls) >= asked)
        )
    assert content(tmp_path) == before


WRITE_UNTIL_FULL = """
import sys
sys.path[:0] = [{root!r}, {testing!r}]
from pathlib import Path
from support.synthetic import brain_volume, synthetic_detection
from MedADLib.errors import OutputError
from MedADLib.results.writing import write_detection
import numpy as np
volume = brain_volume((96, 96, 96), (2, 2, 2))
noise = np.random.default_rng(0).normal(size=volume.array.shape).astype("f4")
detection = synthetic_detection(volume.with_array(volume.array + noise))
{limit}
try:
    write_detection(detection, Path({folder!r}), "case", figure=False)
except OutputError as error:
    print(error.code)
    sys.exit(1)
"""


def write_until_full(folder, limit=""):
    code = WRITE_UNTIL_FULL.format(root=str(ROOT), testing=str(ROOT / "Testing"), folder=str(folder), limit=limit)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("kilobytes", [400, 1060, 1200])
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, kilobytes):
    folder = tmp_path / "small"
    folder.mkdir()
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("only root on Linux can make a small disk")
    options = ["-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    made = subprocess.run(["mount", *options], capture_output=True)
    if made.returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    try:
        (folder / "notes.txt").write_text("mine")
        done = write_until_full(folder)
        assert done.returncode == 1, done.stderr
        assert done.stdout == "result_unwritable\n"
        assert os.listdir(folder) == ["notes.txt"]
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("kilobytes", [100, 1000])
def test_a_limit_on_file_size_is_one_line_and_leaves_nothing(tmp_path, kilobytes):
    pytest.importorskip("resource")
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({kilobytes * 1024}, -1))"
    done = write_until_full(tmp_path, limit)
    assert done.returncode == 1, done.stderr
    assert done.stdout == "result_unwritable\n"
    assert not os.listdir(tmp_path)


# Before anything is computed.


def test_a_folder_is_made_and_goes_again_if_the_run_fails(tmp_path):
    folder = tmp_path / "a" / "b" / "c"
    with pytest.raises(RuntimeError), writable_folder(folder):
        assert folder.is_dir() and not list(folder.iterdir())
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_a_folder_that_was_there_or_holds_results_stays(tmp_path):
    folder = tmp_path / "there"
    folder.mkdir()
    with pytest.raises(RuntimeError), writable_folder(folder):
        raise RuntimeError
    assert folder.is_dir()
    with writable_folder(tmp_path / "new"):
        (tmp_path / "new" / "result").touch()
    assert (tmp_path / "new" / "result").exists()


def test_a_folder_that_cannot_be_written_is_found_out_at_once(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for folder, code in ((tmp_path / "file", "folder_is_file"), (tmp_path / "file" / "below", "folder_not_writable")):
        with pytest.raises(OutputError, match=str(folder)) as refused:
            check_writable(folder)
        assert refused.value.code == code

    def read_only(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(atomic_files.tempfile, "TemporaryFile", read_only)
    with pytest.raises(OutputError, match="Permission denied") as refused:
        check_writable(tmp_path / "new" / "er")
    assert refused.value.code == "folder_not_writable"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("name", ["scan.json", "scan.png", "scan_regions.tsv"])
def test_files_of_somebody_else_are_not_replaced(tmp_path, name):
    check_ours(tmp_path, "scan")
    (tmp_path / name).write_text('{"EchoTime": 0.003}')
    with pytest.raises(OutputError, match=name) as caught:
        check_ours(tmp_path, "scan")
    assert caught.value.code == "not_our_file"


def test_a_result_of_ours_may_be_replaced(tmp_path):
    write_detection(synthetic_detection(), tmp_path, "scan", figure=False)
    check_ours(tmp_path, "scan")


def test_abandoning_removes_what_is_unfinished_only(tmp_path):
    folder = tmp_path / "new"
    with writable_folder(folder), atomic_files.staging_folder(folder) as aside:
        (aside / "half").touch()
        (tmp_path / "other").touch()
        atomic_files.abandon()
        assert os.listdir(tmp_path) == ["other"]


def test_a_result_of_another_scan_that_was_written_meanwhile_is_not_replaced(tmp_path):
    found = synthetic_detection()
    inputs = [{"input": {"name": "case", "sha256": digit * 64}} for digit in "01"]
    first, other = (replace(found, provenance=found.provenance | one) for one in inputs)
    write_detection(first, tmp_path, "case", figure=False)
    before = content(tmp_path)
    with pytest.raises(OutputError) as caught:
        write_detection(other, tmp_path, "case", figure=False)
    assert caught.value.code == "folder_of_another_scan" and content(tmp_path) == before
