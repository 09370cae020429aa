"""Write the table of error codes in ``docs/ERRORS.md`` from the library; run it after each new error."""

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


def table() -> str:
    """Return the table in Markdown: code, class and sentence."""
    catalogue = messages._catalogue()
    lines = ["| code | class | sentence |", "|---|---|---|"]
    for code, kinds in raised().items():
        problem = " ".join(catalogue[code][1].problem.split()).replace("|", "\\|")
        shown = PLACEHOLDER.sub(r"`\1`", problem)
        lines.append(f"| `{code}` | {kinds} | {shown} |")
    return "\n".join(lines)


def written(page: str) -> str:
    """Replace the table of the page."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{table()}\n{END}{tail}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
