"""Every case of docs/RELIABILITY.md has a test of its number in Testing/faults, and the codes that it names exist."""

from __future__ import annotations

import ast
import re

from support.source_code import ROOT, syntax

from MedADLib import messages
from MedADLib.benchmark.device_check import MEAN, SHARE
from MedADLib.results.writing import RESULT_SUFFIXES

PAGE = (ROOT / "docs" / "RELIABILITY.md").read_text(encoding="utf-8")
PROMISES = " ".join(PAGE.partition("## Promises")[2].partition("\n## ")[0].split())
# The cases of a cluster, which wait for runs on several computers.
CLUSTER = range(59, 66)
CASES = [number for number in range(1, 73) if number not in CLUSTER]
ROWS = {
    int(row[1]): row
    for row in re.findall(r"^(\| (\d+) \| (.*?) \| (.*?) \| (.*?) \|)$", PAGE, re.MULTILINE)
    if row[1].isdigit()
}


def case_tests(file: str) -> list[str]:
    """The tests of a file of Testing/faults that are cases."""
    tree = syntax(ROOT / "Testing" / "faults" / file)
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_case")]


def test_every_case_has_a_row_and_a_test():
    assert list(ROWS) == CASES
    files = [path.name for path in sorted((ROOT / "Testing" / "faults").glob("test_*.py"))]
    written = {name: file for file in files for name in case_tests(file)}
    listed = [name for row in ROWS.values() for name in re.findall(r"`(\w+)`", row[4])]
    assert sorted(listed) == sorted(written)
    for number, row in ROWS.items():
        names = re.findall(r"`(\w+)`", row[4])
        assert names and all(name.startswith(f"test_case_{number:02d}_") for name in names), number
    sections = re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]
    for section in sections:
        (file,) = set(re.findall(r"^Tests: \[(test_\w+\.py)\]", section, re.MULTILINE))
        assert {written[name] for name in re.findall(r"`(test_case_\w+)`", section)} == {file}


def test_the_codes_of_the_page_exist():
    codes = {code for row in ROWS.values() for code in re.findall(r"`([a-z]+(?:_\w+)*)`", row[3])}
    assert len(codes) > 60 and codes - {"mps"} <= set(messages._catalogue())


def test_the_numbers_of_the_promises_are_those_of_the_library():
    assert f"less than {MEAN} of their unit in the mean, and less than {SHARE} of" in PROMISES
    assert all(f"`{suffix}`" in PROMISES for suffix in RESULT_SUFFIXES)


def test_cluster_cases_are_said_to_be_missing():
    assert f"Cases {CLUSTER[0]} to {CLUSTER[-1]} are those of a cluster" in PAGE
