"""The README keeps its promises: texts of errors are those of the program, commands exist, references are ours."""

from __future__ import annotations

import re

from conftest import ROOT

from MedADLib.citations import markdown

README = (ROOT / "README.md").read_text(encoding="utf-8")


def said_by_the_program() -> str:
    """All source text, with texts that are written in several pieces joined."""
    files = [*(ROOT / "MedADLib").rglob("*.py"), *(ROOT / "MedAD").rglob("*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    return re.sub(r'"\s*\n\s*f?"', "", text).lower()


def test_every_error_in_the_troubleshooting_table_can_occur():
    section = README.partition("### When something goes wrong")[2].partition("![")[0]
    quoted = [text for row in section.splitlines() if row.startswith("| *") for text in re.findall(r"\*([^*]+)\*", row)]
    assert len(quoted) > 10
    source = said_by_the_program()
    for text in quoted:
        for part in re.split(r"…|\d+", text.lower()):
            part = part.strip(" .,")
            assert len(part) < 6 or part in source, f"nothing says {part!r}"


def test_the_readme_cites_what_the_module_cites():
    assert markdown().strip() in README


def test_every_make_target_and_every_command_in_it_exists():
    targets = set(re.findall(r"`make ([a-z-]+)", README)) | set(re.findall(r"^make ([a-z-]+)", README, re.M))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert {"demo", "test", "screenshots"} <= targets
    assert all(re.search(rf"^{target}:", makefile, re.M) for target in targets)


def test_the_honest_sentence_is_there():
    assert "under an emulated Qt layer; not yet run inside the Slicer application" in " ".join(README.split())
    assert "not a medical device" in README
