"""Write the tables of error and warning codes in ``docs/ERRORS.md`` from the library; run it after each new one."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from MedADLib import messages

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "ERRORS.md"
BEGIN, END = "<!-- codes: begin -->", "<!-- codes: end -->"
PLACEHOLDER = re.compile(r"{(\w+)[^}]*}")
# The errors of `MedADLib.errors` and the subclasses of other modules, by the name of the class.
KINDS = re.compile(r"(\w+Error|Cancelled)\Z")
# Codes of failures of Python and of the system, and codes that are no literal in the call that raises them.
COMPUTED = {
    **dict.fromkeys(("disk_full", "disk_full_at", "system_error", "system_error_at"), "OSError"),
    **dict.fromkeys(("internal_error", "internal_error_in_command"), "InternalError"),
    **{"cancelled": "Cancelled", "out_of_memory": "MemoryError", "package_missing": "ImportError"},
    **{"wrong_usage": "Usage", "busy": "Busy", "worker_hung": "WorkerHung", "worker_died": "WorkerDied"},
    **dict.fromkeys(("worker_not_started", "worker_not_ready", "worker_not_ready_silent"), "WorkerNotStarted"),
    **dict.fromkeys(("archive_extra", "archive_lacks", "manifest_extra", "manifest_lacks"), "ModelError"),
    **dict.fromkeys(("model_problem", "model_problem_damaged"), "ModelError"),
    **{"no_brain": "NoBrainError", "gpu_driver_unusable": "InputError", "torch_without_cuda": "InputError"},
}


WARNINGS_BEGIN, WARNINGS_END = "<!-- warnings: begin -->", "<!-- warnings: end -->"
# Codes of warnings that are no literal where the message is made.
COMPUTED_WARNINGS = {
    *("scan_in_train", "scan_in_validation", "scan_in_calibration", "brain_overlap_low", "volume_other_shape"),
    *("torch_without_cuda", "gpu_driver_unusable", "gpu_no_kernel", "gpu_illegal_access", "gpu_lost", "gpu_failed"),
    "computed_on_cpu",
}
# Functions of which every message is a warning of a result or of a training.
WARNING_FUNCTIONS = {
    "preprocessing/fit.py": {"judged"},
    "preprocessing/space.py": {"similarity_warnings"},
    "preprocessing/empty_slices.py": {"_messages"},
    "detection.py": {"detect", "_method", "_whole_foreground", "_wrong_voxels"},
    "runtime/device.py": {"run_on"},
    "dataset/checks.py": {"_atypical_scans", "_atypical_geometry", "_atypical_intensities"},
    "dataset/discovery.py": {"doubts_about_subjects"},
}


def raised() -> dict[str, str]:
    """Return the code of every error that the library raises on purpose, and the classes that carry it."""
    found: dict[str, set[str]] = {code: {kinds} for code, kinds in COMPUTED.items()}
    catalogue = messages._catalogue()
    found |= {code: {"InstallError"} for code in catalogue if code.startswith("install_")}
    for path in sorted((ROOT / "MedADLib").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            for code in _literals(node.args[0]):
                if KINDS.match(name) and code in catalogue:
                    found.setdefault(code, set()).add(name)
    return {code: ", ".join(sorted(kinds)) for code, kinds in sorted(found.items())}


def _literals(node: ast.expr) -> list[str]:
    """Return the texts that an expression may be: a text, or a choice of two."""
    if isinstance(node, ast.IfExp):
        return _literals(node.body) + _literals(node.orelse)
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def warned() -> list[str]:
    """Return the codes of all warnings of results and of ``--json-log``."""
    found = set(COMPUTED_WARNINGS)
    for path in sorted((ROOT / "MedADLib").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = WARNING_FUNCTIONS.get(path.relative_to(ROOT / "MedADLib").as_posix(), set())
        for node in ast.walk(tree):
            logs = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "warning"
            if logs or (isinstance(node, ast.FunctionDef) and node.name in functions):
                found |= _messages(node)
    # Steps of a run are messages too.
    return sorted(code for code in found if not code.startswith("progress_"))


def _messages(tree: ast.AST) -> set[str]:
    """Return the codes of the messages that are made in a tree."""
    return {
        code
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Message"
        for code in _literals(node.args[0])
    }


def table() -> str:
    """Return the table of errors in Markdown: code, class and sentence."""
    lines = ["| code | class | sentence |", "|---|---|---|"]
    lines += [f"| `{code}` | {kinds} | {_shown(code)} |" for code, kinds in raised().items()]
    return "\n".join(lines)


def table_of_warnings() -> str:
    """Return the table of warnings in Markdown: code and sentence."""
    lines = ["| code | sentence |", "|---|---|"]
    lines += [f"| `{code}` | {_shown(code)} |" for code in warned()]
    return "\n".join(lines)


def _shown(code: str) -> str:
    problem = " ".join(messages._catalogue()[code][1].problem.split()).replace("|", "\\|")
    return PLACEHOLDER.sub(r"`\1`", problem)


def written(page: str) -> str:
    """Replace the tables of the page."""
    for begin, end, rows in ((BEGIN, END, table()), (WARNINGS_BEGIN, WARNINGS_END, table_of_warnings())):
        head, _, rest = page.partition(begin)
        _, _, tail = rest.partition(end)
        page = f"{head}{begin}\n{rows}\n{end}{tail}"
    return page


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
