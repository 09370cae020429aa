"""Every file that MedAD writes is written atomically: by `runtime.atomic_files` or in a staging folder."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator

import pytest
from support.source_code import OWN_PACKAGE, ROOT, library_files, syntax

from MedADLib.runtime import atomic_files
from MedADLib.runtime.atomic_files import replacing, write_bytes, write_json, write_text
from MedADLib.runtime.tables import read_table, write_table

# Context managers that give a path for a file that is moved or removed at the end.
MAKERS = ("replacing", "staging_folder", "TemporaryDirectory")
# Methods and functions that write to a path or stream, by their last name.
WRITERS = {
    *(
        "write_text",
        "write_bytes",
        "savefig",
        "imsave",
        "tofile",
        "to_csv",
        "dump",
        "save",
        "savez",
        "savez_compressed",
    ),
    *("save_file", "WriteImage", "WriteToMRB", "copy", "copy2", "copyfile", "copytree"),
}
# Those of WRITERS with a name of other methods too count as functions of these modules only.
MODULES = {"dump": {"json", "pickle"}, "save": {"np", "numpy", "torch"}, "copy": {"shutil"}}
# (module, function): why it may write to a path that is not its own.
ALLOWED = {
    ("evaluation.stored_cases", "measured"): "a switch of the Linux kernel, not a file",
    ("io.volume_writing", "write_nifti"): "its caller gives a path in a staging folder",
    ("io.volume_writing", "write_nrrd"): "its caller gives a path in a staging folder",
    ("io.volume_writing", "_first_slice"): "a temporary file beside the one that its caller gives",
    ("modelfile.archive", "_pack"): "in memory",
    ("modelfile.monai_bundle", "_state_dict"): "in memory",
    ("results.exchange", "volume_parts"): "its caller gives a path in a staging folder or a temporary one",
    ("results.figure", "draw"): "its caller gives a path in a staging folder",
    ("results.writing", "write_detection"): "functions that get a path in a staging folder",
}


def _to_write(call: ast.Call, position: int) -> bool:
    """Whether the mode of a call that opens a file is for writing."""
    given = [k.value for k in call.keywords if k.arg == "mode"] + call.args[position : position + 1]
    return any(isinstance(mode, ast.Constant) and set(str(mode.value)) & set("wax+") for mode in given)


def writes(call: ast.Call) -> bool:
    """Whether a call writes to a file or stream, by its name and mode."""
    name, owner = getattr(call.func, "attr", ""), getattr(getattr(call.func, "value", None), "id", "")
    if isinstance(call.func, ast.Name):
        name = call.func.id
        return name in {"save_file", "copyfile", "copytree"} or (name in ("open", "ZipFile") and _to_write(call, 1))
    if name in ("open", "ZipFile"):
        return owner != "os" and _to_write(call, name == "ZipFile")
    return name in WRITERS and (name not in MODULES or owner in MODULES[name])


def bypasses(tree: ast.AST, inside: tuple[str, ...] = (), temporary: set[str] | None = None) -> Iterator:
    """Function and line of each call that writes to another path than one of `replacing` or of a staging folder."""
    temporary = set() if temporary is None else temporary
    for node in ast.iter_child_nodes(tree):
        where, known = inside, temporary
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            where, known = (*inside, node.name), set(temporary)
        if isinstance(node, ast.With):
            for item in node.items:
                maker = getattr(item.context_expr, "func", None)
                if getattr(maker, "id", getattr(maker, "attr", "")) in MAKERS and item.optional_vars is not None:
                    known.add(item.optional_vars.id)
        names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
        if isinstance(node, ast.Assign) and known & names:
            known.update(part.id for target in node.targets for part in ast.walk(target) if isinstance(part, ast.Name))
        if isinstance(node, ast.Call) and writes(node) and not known & names:
            yield ".".join(where), node.lineno
        yield from bypasses(node, where, known)


def test_every_file_is_written_atomically():
    found = {}
    for path in library_files():
        module = ".".join(path.relative_to(ROOT / OWN_PACKAGE).with_suffix("").parts)
        for function, line in bypasses(syntax(path)) if module != "runtime.atomic_files" else ():
            found.setdefault((module, function), f"{path.relative_to(ROOT)}:{line}")
    assert {key: place for key, place in found.items() if key not in ALLOWED} == {}
    assert not ALLOWED.keys() - found.keys(), "no longer needed"


@pytest.mark.parametrize(
    "line",
    ["open(path, 'w')", "path.open('wb')", "path.write_text(text)", "figure.savefig(path)", "np.save(path, array)"]
    + ["json.dump(value, stream)", "frame.to_csv(path)", "torch.save(weights, path)", "zipfile.ZipFile(path, 'w')"],
)
def test_a_write_past_it_is_found_and_one_to_a_temporary_path_is_not(line):
    assert [function for function, _ in bypasses(ast.parse(f"def own():\n    {line}"))] == ["own"]
    kept = "def own():\n    with replacing(target) as partial:\n        path = stream = partial\n        "
    assert list(bypasses(ast.parse(kept + line))) == []


@pytest.mark.parametrize("path", ["open(path)", "path.open('rb')", "text.copy()", "model.save(path)"])
def test_reading_and_methods_of_the_same_name_are_not_writes(path):
    assert list(bypasses(ast.parse(path))) == []


def fails(path):
    with replacing(path) as partial:
        partial.write_text("half of it")
        raise OSError("the disk is full")


@pytest.mark.parametrize("durable", [False, True])
def test_a_failed_write_leaves_the_earlier_file_and_nothing_else(tmp_path, monkeypatch, durable):
    path = tmp_path / "split.json"
    with pytest.raises(OSError, match="full"):
        fails(path)
    assert list(tmp_path.iterdir()) == []
    write_json(path, {"train": ["é"]}, indent=1)
    with pytest.raises(OSError, match="full"):
        fails(path)
    monkeypatch.setattr(atomic_files.os, "replace", lambda *_: (_ for _ in ()).throw(OSError("in use")))
    with pytest.raises(OSError, match="in use"):
        write_bytes(path, b"new", durable)
    assert json.loads(path.read_text(encoding="utf-8")) == {"train": ["é"]} and list(tmp_path.iterdir()) == [path]


def test_the_temporary_file_lies_beside_its_target_and_has_its_suffix(tmp_path):
    with replacing(tmp_path / "scan.nii.gz") as partial:
        assert partial.parent == tmp_path and partial.name.endswith("scan.nii.gz") and partial.name.startswith(".")
        partial.write_bytes(b"1")
        assert not (tmp_path / "scan.nii.gz").exists()
    write_text(tmp_path / "scan.nii.gz", "2")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("scan.nii.gz", "2")]


@pytest.mark.parametrize("delimiter", ["\t", ","])
def test_a_table_comes_back_as_it_was_written_with_the_columns_of_all_rows(tmp_path, delimiter):
    rows = [{"name": 'a "b"\tc, d', "n": 1}, {"name": "é", "extra": 0.5}]
    write_table(tmp_path / "table.tsv", rows, delimiter)
    expected = [{"name": 'a "b"\tc, d', "n": "1", "extra": ""}, {"name": "é", "n": "", "extra": "0.5"}]
    assert read_table(tmp_path / "table.tsv", delimiter) == expected
    assert b"\r" not in (tmp_path / "table.tsv").read_bytes()
