"""What Slicer's extension index checks before it takes an extension, as far as it can be checked before publishing.

The rules are written down from the index's own checks and its schema 1.0.2; docs/extension-submission.md lists them all
with their state. What test_packaging.py, test_imports.py and test_repository.py check is not repeated here.
"""

from __future__ import annotations

import ast
import json
import re
import struct
import subprocess

import pytest
from support.source_code import ROOT, imported_on_loading, imports, library_files, syntax

ENTRY = ROOT / "docs" / "MedAD.json"
SCHEMA = (
    "https://raw.githubusercontent.com/Slicer/Slicer/main/Schemas/slicer-extension-catalog-entry-schema-v1.0.2.json#"
)
REQUIRED = {"$schema": str, "category": str, "scm_url": str}
OPTIONAL = {
    "scm_revision": str,
    "scm_type": str,
    "build_dependencies": list,
    "dicom_support_rule": str,
    "build_subdirectory": str,
    "enabled": bool,
    "tier": int,
}
# Those of the index's fixed list that an extension such as this one can be in.
CATEGORIES = {"Analysis", "Neuroimaging", "Quantification", "Segmentation"}
LARGEST_CHECKOUT = 100e6
# What may be called while a module is imported: it makes a constant and does nothing else.
HARMLESS = {
    "frozenset",
    "re.compile",
    "logging.getLogger",
    "Path",
    "NamedTuple",
    "TypeVar",
    "field",
    "MappingProxyType",
}
SENDS = {"requests", "urllib3", "httpx", "aiohttp", "ftplib", "smtplib", "urllib.request", "http.client"}


MR_IMAGE, ENHANCED_MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1"
# Comparisons of the two attributes that Slicer documents, joined by and/or: rule-engine reads them as Python does.
RULE_NODES = (ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.Compare, ast.Eq, ast.Name, ast.Load, ast.Constant)


def suggests(rule, modality, sop_class):
    """Whether the rule suggests MedAD for a DICOM object; ValueError or SyntaxError if it is not a rule."""
    tree = ast.parse(rule, mode="eval")
    attributes = {"Modality": modality, "SOPClassUID": sop_class}
    for node in ast.walk(tree):
        if not isinstance(node, RULE_NODES) or (isinstance(node, ast.Name) and node.id not in attributes):
            raise ValueError(ast.dump(node))
    return eval(compile(tree, "rule", "eval"), {"__builtins__": {}}, attributes)


def entry_problems(entry):
    """What is wrong with a catalogue entry by the schema and by the index's checks of it."""
    fields = REQUIRED | OPTIONAL
    yield from (f"{name} is missing" for name in REQUIRED if not entry.get(name))
    yield from (f"{name} is no field of the schema" for name in entry if name not in fields)
    for name, kind in fields.items():
        if name in entry and type(entry[name]) is not kind:
            yield f"{name} is not {kind.__name__}"
    if entry.get("$schema") != SCHEMA:
        yield "another schema"
    if str(entry.get("category")) not in CATEGORIES:
        yield "category"
    if not re.fullmatch(r"https://github\.com/[\w-]+/Slicer\w+\.git", str(entry.get("scm_url"))):
        yield "the repository is no https address of one called Slicer…"
    if entry.get("scm_type", "git") not in ("git", "local"):
        yield "scm_type"
    try:
        suggests(str(entry.get("dicom_support_rule")), "MR", MR_IMAGE)
    except (SyntaxError, ValueError):
        yield "dicom_support_rule"
    # The schema takes 1 to 5; the index knows 1, 3 and 5.
    if entry.get("tier", 1) not in (1, 3, 5):
        yield "tier"
    if not all(isinstance(each, str) and each for each in entry.get("build_dependencies", [])):
        yield "a dependency without name"


@pytest.fixture(scope="module")
def entry():
    return json.loads(ENTRY.read_text("utf-8"), object_pairs_hook=unique)


def unique(pairs):
    assert len(dict(pairs)) == len(pairs), "a field twice"
    return dict(pairs)


def setting(name):
    """A value that the index reads from the text of CMakeLists.txt."""
    found = re.findall(rf'^set\(EXTENSION_{name} "([^"]*)"\)$', (ROOT / "CMakeLists.txt").read_text("utf-8"), re.M)
    assert len(found) == 1, name
    return found[0]


def test_the_entry_is_valid(entry):
    assert list(entry_problems(entry)) == []
    text = ENTRY.read_bytes()
    assert b"\r" not in text and text.endswith(b"}\n") and not text.startswith(b"\xef\xbb\xbf")


PLANTED = [
    {"$schema": SCHEMA.replace("1.0.2", "1.0.1")},
    {"$schema": None},
    {"category": "Detection"},
    {"category": ["Segmentation"]},
    {"scm_url": "git@github.com:ORG/SlicerMedAD.git"},
    {"scm_url": "https://github.com/ORG/MedAD.git"},
    {"tier": 2},
    {"tier": "1"},
    {"tier": True},
    {"enabled": "yes"},
    {"scm_type": "svn"},
    {"build_dependencies": "PyTorch"},
    {"build_dependencies": [""]},
    {"dicom_support_rule": ["MR"]},
    {"dicom_support_rule": "Modality = 'MR'"},
    {"dicom_support_rule": "BodyPartExamined == 'HEAD'"},
    {"keywords": "belongs into CMakeLists.txt"},
    {"description": "not in the schema"},
]


def test_planted_errors_in_the_entry_are_found(entry):
    assert [change for change in PLANTED if not list(entry_problems(entry | change))] == []


def test_a_missing_field_of_the_entry_is_found(entry):
    for name in REQUIRED:
        assert list(entry_problems({key: value for key, value in entry.items() if key != name})) != [], name


def test_the_rule_suggests_medad_for_images_of_mr_and_nothing_else(entry):
    rule = entry["dicom_support_rule"]
    assert suggests(rule, "MR", MR_IMAGE) and suggests(rule, "MR", ENHANCED_MR_IMAGE)
    spectroscopy, ct, segmentation = (f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("4.2", "2", "66.4"))
    others = [("MR", spectroscopy), ("CT", ct), ("SEG", segmentation)]
    assert [other for other in others if suggests(rule, *other)] == []


def test_keywords_are_single_words():
    """Slicer joins and parts them at spaces; semicolons would part them in CMake."""
    words = setting("KEYWORDS").split(" ")
    assert len(words) == len(set(words)) >= 5 and all(re.fullmatch(r"[A-Za-z0-9-]+", word) for word in words)
    assert {"anomaly", "brain", "MRI"} <= set(words)


def test_entry_project_module_and_repository_have_one_name(entry):
    name = ENTRY.stem
    project = re.findall(r"project\s*\(\s*([^\s)]+)", (ROOT / "CMakeLists.txt").read_text("utf-8"))
    assert project == [name] and not name.lower().startswith("slicer")
    assert (ROOT / name / f"{name}.py").is_file()
    assert entry["scm_url"].endswith(f"/Slicer{name}.git")
    assert setting("HOMEPAGE") == entry["scm_url"].removesuffix(".git")


def test_dependencies_are_the_same_for_index_and_cmake(entry):
    assert setting("DEPENDS").split() == entry["build_dependencies"]
    assert entry["build_subdirectory"] == "."


def test_images_are_png_files_of_the_published_branch(entry):
    start = entry["scm_url"].removesuffix(".git").replace("github.com", "raw.githubusercontent.com")
    urls = [setting("ICONURL"), *setting("SCREENSHOTURLS").split()]
    assert len(urls) >= 2
    for url in urls:
        path = url.removeprefix(f"{start}/{entry['scm_revision']}/")
        assert path != url and re.fullmatch(r"[\w./-]+\.png", path), url
        assert tracked(path), f"{path} is not in the repository as it would be published"
        width, height = png_size(ROOT / path)
        assert width >= 128 and height >= 128
    assert png_size(ROOT / urls[0].removeprefix(f"{start}/{entry['scm_revision']}/")) == (128, 128)


def test_description_can_be_shown():
    """CMake splits at semicolons, and the catalogue shows the text as it is."""
    text = setting("DESCRIPTION")
    assert text.isascii() and ";" not in text and "\\" not in text and 50 < len(text) < 500
    assert "research" in text and "atents" in text


def test_description_discloses_the_training_subjects():
    text = setting("DESCRIPTION")
    assert "patients with mild to moderate depression without reported structural lesions" in text
    assert "T1-weighted" in text and "without contrast agent" in text
    assert not re.search("unusual|look healthy|healthy scans only|pseudo-healthy version", text)


def test_licence_is_where_the_index_looks_and_is_named_on_the_homepage():
    assert (ROOT / "LICENSE").is_file()
    assert "Apache-2.0" in (ROOT / "README.md").read_text("utf-8")


def test_homepage_shows_an_image():
    images = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", (ROOT / "README.md").read_text("utf-8"))
    assert images and all((ROOT / path).is_file() for path in images if "://" not in path)


def test_a_clone_of_one_commit_is_small_enough():
    """Files and .git together, of the single commit from which the extension is published.

    The history of the development does not count: the submission page excludes it.
    """
    objects = git("rev-list", "--objects", "--no-walk", "--no-object-names", "HEAD")
    # Without differences between files, which takes more bytes and less time.
    packed = len(git("pack-objects", "--stdout", "--no-reuse-delta", "--window=0", "-q", given=objects))
    files = sum((ROOT / name).stat().st_size for name in names("ls-files") if (ROOT / name).is_file())
    assert packed + files <= LARGEST_CHECKOUT, f"{packed / 1e6:.0f} MB packed and {files / 1e6:.0f} MB of files"


def test_the_models_leave_room_in_that_clone():
    sizes = {path.name: path.stat().st_size for path in (ROOT / "Resources" / "models").glob("*.medad")}
    assert len(sizes) == 4 and max(sizes.values()) < 20e6 and sum(sizes.values()) < 40e6, sizes


def loaded_by_slicer():
    """The module and the files of ours that importing it imports."""
    names = imported_on_loading(ROOT / "MedAD" / "MedAD.py")
    files = (ROOT.joinpath(*name.split(".")) for name in names if name.startswith("MedADLib"))
    found = {file for path in files for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()}
    return [ROOT / "MedAD" / "MedAD.py", *sorted(found)]


def actions(tree):
    """Statements at file scope that do more than define: what they are, by line."""
    for node in tree.body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        calls = {ast.unparse(each.func) for each in ast.walk(node) if isinstance(each, ast.Call)}
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            harmful = calls - HARMLESS
        else:
            definitions = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
            docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            harmful = not (docstring or isinstance(node, definitions))
        if harmful:
            yield f"line {node.lineno}: {ast.unparse(node)[:80]}"


def test_importing_the_module_runs_nothing():
    found = {path.name: list(actions(syntax(path))) for path in loaded_by_slicer()}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_code_at_file_scope_is_found():
    for code in (
        "print('hello')",
        "x = install()",
        "for x in y: pass",
        "if x: y()",
        "with a: pass",
        "try: import t\nexcept E: i()",
    ):
        assert len(list(actions(ast.parse(code)))) == 1, code


def test_definitions_at_file_scope_are_fine():
    code = "'''Text.'''\nimport a\nfrom b import c\nX = 3\nP = re.compile('x')\ndef f(): g()\nclass A:\n    b = 1"
    assert list(actions(ast.parse(code))) == []


def test_pip_is_not_asked_for_torch():
    """The PyTorch extension chooses the build that fits the computer; pip would replace it."""
    lines = (ROOT / "MedAD" / "Resources" / "requirements.txt").read_text("utf-8").splitlines()
    packages = {re.match(r"[\w.-]+", line).group().lower() for line in lines if line and not line.startswith("#")}
    assert packages and not packages & {"torch", "torchvision", "numpy", "simpleitk", "scipy"}


def test_nothing_is_sent_anywhere():
    """No file but the browser view's own server can open a web address; packages and sample data come by Slicer's."""
    files = [file for file in (*library_files("MedADLib"), *library_files("MedAD")) if file.parent.name != "browser"]
    assert {path.name: found for path in files if (found := imports(path) & SENDS)} == {}


def test_the_submission_document_names_files_that_exist():
    text = (ROOT / "docs" / "extension-submission.md").read_text("utf-8")
    paths = set(re.findall(r"`((?:[\w.-]+/)+[\w.-]+\.\w+|[\w-]+\.(?:md|txt|py|json))`", text))
    assert len(paths) > 10
    assert sorted(path for path in paths if not (ROOT / path).is_file()) == []


def png_size(path):
    data = path.read_bytes()[:24]
    assert data[:8] == b"\x89PNG\r\n\x1a\n", path
    return struct.unpack(">II", data[16:24])


def tracked(path):
    return path in names("ls-files", "--cached", "--others", "--exclude-standard")


def names(*arguments):
    return git(*arguments).decode().splitlines()


def git(*arguments, given=None):
    try:
        return subprocess.run(["git", *arguments], cwd=ROOT, input=given, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs git and a repository")
