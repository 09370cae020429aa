"""Every error that MedAD raises on purpose has a stable code: listed in the docs, and in every channel."""

from __future__ import annotations

import ast
import json

import error_table
import pytest
from support.source_code import library_files, syntax

from MedADLib import messages
from MedADLib.cli.main import main
from MedADLib.errors import MedADError, ModelError, SettingError, explain
from MedADLib.methods.atlas import AtlasParameters
from MedADLib.runtime.strict_json import from_json
from MedADLib.worker.protocol import RequestError, parse

# Their failures stay inside: parsers that turn them into an error with a code, the disk, and networks, which
# know nothing of MedAD: the parameters of a method are checked before its networks are built.
INSIDE = {
    *(path.name for path in library_files("MedADLib/networks")), "volume_writing.py", "dicom_files.py",
    "strict_json.py", "manifest.py", "record.py", "reading.py", "exchange.py", "healthy_reference.py", "split.py",
    "checkpoint.py", "writing.py", "scene.py", "child_reading.py", "data.py", "__init__.py",
}  # fmt: skip


def test_the_page_lists_every_code_with_its_class_and_sentence():
    """After a new error, run Testing/error_table.py. A code that vanished or changed its name breaks programs."""
    page = error_table.PAGE.read_text(encoding="utf-8")
    assert page == error_table.written(page)
    codes = error_table.raised()
    assert len(codes) > 400 and set(codes) <= set(messages._catalogue())
    for code in ("unreadable", "not_found", "number_too_large", "scan_one_intensity", "mps_not_supported", "cancelled"):
        assert f"| `{code}` |" in page


def test_the_page_lists_every_warning():
    codes = error_table.warned()
    assert set(codes) <= set(messages._catalogue())
    page = error_table.PAGE.read_text(encoding="utf-8").partition(error_table.WARNINGS_BEGIN)[2]
    from MedADLib.results.text import DOUBTS, UNFIT

    for code in (*DOUBTS, *UNFIT, "wrong_voxel", "surplus_data", "scan_in_train", "fast_mode", "computed_on_cpu"):
        assert code in codes and f"| `{code}` |" in page


def test_the_library_raises_no_sentences():
    plain = [
        f"{path.name}:{node.lineno}"
        for path in library_files()
        if path.name not in INSIDE
        for node in ast.walk(syntax(path))
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)
        if getattr(node.exc.func, "id", "") in ("ValueError", "TypeError", "RuntimeError", "OSError", "Exception")
    ]
    assert plain == []


def test_a_setting_out_of_range_has_a_code_wherever_it_comes_from():
    with pytest.raises(ValueError) as caught:  # what callers of a dataclass expect
        AtlasParameters((2, 2, 2), (1.0, 1.0, 1.0), floor=0.0)
    assert isinstance(caught.value, SettingError) and caught.value.code == "atlas_smoothing"
    document = {"shape": [2, 2, 2], "spacing": [1, 1, 1], "fwhm_mm": 8, "floor": 0}
    with pytest.raises(ModelError) as caught:
        from_json(AtlasParameters, document, "the parameters of atlas")
    assert (caught.value.code, caught.value.parameters["reason"]) == ("setting_malformed", "atlas_smoothing")


def test_wrong_usage_is_an_event_with_a_code(capsys):
    assert main(["detect", "--json-log", "--nonsense"]) == 2
    event = json.loads(capsys.readouterr().out)
    assert (event["event"], event["kind"], event["code"]) == ("error", "Usage", "wrong_usage")
    assert main(["detect"]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith("medad: error: ") and "--help" in printed.err


def test_failures_of_python_and_of_the_system_have_codes():
    for error in (
        OSError(28, "No space left on device"), OSError(13, "no", "a"), MemoryError(), ImportError("x", name="torch"),
        KeyError("fault"), RuntimeError("DefaultCPUAllocator: not enough memory"),
    ):  # fmt: skip
        _, message = explain(error)
        assert message.code in error_table.raised()


@pytest.mark.parametrize("line", [b"{", b"[]", b"{}", b'{"request": "detect", "id": "1"}'])
def test_refused_requests_of_the_worker_have_codes(line):
    _, request = parse(line)
    assert isinstance(request, RequestError) and request.code in error_table.raised()


def test_the_classes_of_the_table_are_errors_of_medad():
    def below(kind):
        return {kind.__name__} | {name for sub in kind.__subclasses__() for name in below(sub)}

    import MedADLib.modelfile.store
    import MedADLib.preprocessing.brain_extraction
    import MedADLib.slicer.install.packages  # noqa: F401

    others = {"OSError", "InternalError", "MemoryError", "ImportError", "Usage", "Busy"}
    others |= {"WorkerHung", "WorkerDied", "WorkerNotStarted"}
    named = {name for kinds in error_table.raised().values() for name in kinds.split(", ")}
    assert named <= below(MedADError) | others
