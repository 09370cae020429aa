"""README and pages: errors, commands and links exist, data are disclosed, versions agree."""

from __future__ import annotations

import json
import re
import shlex

from support.source_code import ROOT

from MedADLib._version import __version__
from MedADLib.cli import main
from MedADLib.methods.bibliography import REFERENCES, markdown

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
    *(path for path in sorted((ROOT / "docs").glob("*.md")) if path.name != "extension-submission.md"),
]
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in PAGES}
WORDS = {name: " ".join(text.split()) for name, text in TEXTS.items()}


def said_by_the_program() -> str:
    """All source text, with texts that are written in several pieces joined."""
    files = [*(ROOT / "MedADLib").rglob("*.py"), *(ROOT / "MedAD").rglob("*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    return re.sub(r'"\s*\n\s*f?"', "", text).lower()


def test_every_error_in_the_troubleshooting_table_can_occur():
    section = TEXTS["docs/TROUBLESHOOTING.md"].partition("![")[0]
    quoted = [text for row in section.splitlines() if row.startswith("| *") for text in re.findall(r"\*([^*]+)\*", row)]
    assert len(quoted) > 10
    source = said_by_the_program()
    for text in quoted:
        for part in re.split(r"…|\d+", text.lower()):
            part = part.strip(" .,")
            assert len(part) < 6 or part in source, f"nothing says {part!r}"


def test_the_readme_cites_what_the_module_cites():
    assert markdown().strip() in README


def test_every_make_target_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    there = set(re.findall(r"^([a-z-]+):", makefile, re.M))
    named = {
        name: {*re.findall(r"`make ([a-z-]+)", text), *re.findall(r"^make ([a-z-]+)", text, re.M)}
        for name, text in TEXTS.items()
    }
    assert {name: gone for name, targets in named.items() if (gone := targets - there)} == {}
    assert {"demo", "test", "screenshots"} <= named["README.md"]


def test_every_command_is_understood():
    for name in ("README.md", "docs/TRAINING.md"):
        blocks = "\n".join(re.findall(r"```\n(.*?)```", TEXTS[name], re.S))
        commands = [shlex.split(line, comments=True) for line in re.findall(r"^medad .*$", blocks, re.M)]
        assert len(commands) >= 5, name
        for words in commands:
            if words[1:] != ["--version"]:
                assert main.build_parser(words[1:]).parse_args(words[1:]).command == words[1], (name, words)


def leads_nowhere(name, target):
    """Whether a link of a page to another file or heading has no end."""
    file, _, heading = target.partition("#")
    path = ((ROOT / name).parent / file).resolve() if file else ROOT / name
    if not path.exists():
        return True
    titles = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.M) if heading else []
    return bool(heading) and heading not in [
        re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles
    ]


def test_every_link_leads_to_a_file_and_to_a_heading():
    links = [(name, target) for name, text in TEXTS.items() for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    links = [(name, target) for name, target in links if "://" not in target]
    assert len(links) > 20 and [link for link in links if leads_nowhere(*link)] == []


def test_scope_accuracy_status_and_loading_come_before_the_first_image():
    first = " ".join(README.partition("![")[0].replace(">", " ").split())
    for printed in (
        "T1-weighted MRI of adult brains without contrast agent",
        "not a medical device",
        "336 of 418 lesion parts",
        "58 of the 97 parts of tumours",
        "39 of the 42 parts of cavities, 209 of 243 spots",
        "30 of 36 changes of texture",
        "average precision is 0.74; a rival without a network has 0.51, a plain atlas 0.35, plain intensity 0.04",
        "AUROC of 0.92",
        "multiple sclerosis from another scanner, the average precision is 0.31, for the atlas 0.33, chance 0.04",
        "4 of 12 weak changes of texture and 15 of 81 weak spots",
        "thresholds and p-values are approximate",
        "not in Slicer's Extensions Manager yet",
        "Edit > Application Settings > Modules".replace(">", " "),
        "Additional module paths",
    ):
        assert " ".join(printed.split()) in first, printed


def test_what_was_not_run_is_named():
    section = README.partition("## What was run and what was not")[2].partition("\n## ")[0]
    assert re.search(r"\| .*Windows.*macOS.* \| not run \|", section)


def test_the_training_data_are_disclosed():
    for name in ("README.md", "docs/RESULTS.md", "docs/TRAINING.md"):
        text = WORDS[name].replace("**", "")
        assert "ds002748" in text and "patients with mild to moderate depression" in text, name
        assert re.search(r"without reported structural lesions|No structural lesions are reported", text), name


def test_controls_ages_scanner_and_the_calibration_are_disclosed():
    for name in ("README.md", "docs/RESULTS.md"):
        text = WORDS[name].replace("**", "")
        assert "19 to 55" in text and "one scanner" in text and "6 benchmark subjects are controls" in text, name
        assert re.search(r"20 calibration subjects are 14 (such )?patients.{0,60} and 6 controls", text), name


def test_the_changelog_is_of_this_version():
    text = TEXTS["CHANGELOG.md"]
    assert re.search(r"^## \[(\d+\.\d+\.\d+)\]", text, re.M).group(1) == __version__
    for summary in cli_models():
        assert f"{summary.name} {summary.version}" in text


def test_a_first_version_removes_and_repairs_nothing_for_its_users():
    version = TEXTS["CHANGELOG.md"].partition("\n## [")[2].partition("\n## ")[0]
    assert re.findall(r"^### (.*)$", version, re.M) == ["Added", "Changed since the last snapshot"]


def cli_models():
    from MedADLib.modelfile.store import summary_of

    return [summary_of(path) for path in sorted((ROOT / "Resources" / "models").glob("*.medad"))]


def test_the_models_of_the_readme_have_the_versions_that_ship():
    for summary in cli_models():
        assert f"| `{summary.name}` ({summary.version}) |" in README


def test_the_citation_file_has_the_keys_of_its_format_and_our_facts():
    """The format is read by line, because YAML is not a dependency; cffconvert validated the file."""
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    top = dict(re.findall(r"^([a-z-]+):[ ]*(.*)$", text, re.M))
    assert {"cff-version", "message", "title", "authors", "type", "version", "license"} <= top.keys()
    assert top["cff-version"] == "1.2.0" and top["type"] == "software" and top["license"] == "Apache-2.0"
    assert top["version"] == __version__ and "\t" not in text
    entry = json.loads((ROOT / "docs" / "MedAD.json").read_text(encoding="utf-8"))
    assert top["repository-code"] == entry["scm_url"].removesuffix(".git")
    dois = re.findall(r"^    doi: (\S+)$", text, re.M)
    known = {entry.doi: entry for entry in REFERENCES if entry.doi}
    assert len(dois) == 3 and all(doi in known and f'title: "{known[doi].title}"' in text for doi in dois)


def test_bug_reports_are_warned_of_patient_data():
    assert "Never upload patient data" in WORDS["CONTRIBUTING.md"]
    assert "Never upload patient data" in WORDS["docs/TROUBLESHOOTING.md"]
