"""Words of the house: names, comments and docstrings of code and tests use standard terms."""

from __future__ import annotations

import ast
import io
import re
import tokenize

from support.source_code import ROOT, library_files, syntax

WORDS = ("anew", "heed", "told", "unusual", "whose", "wish", "lane", "picture", "imagine", "redraw", "healthy version")
AVOIDED = re.compile(
    rf"(?<![a-z])({'|'.join(WORDS)})(e?s|ed|n)?(?![a-z])|imagining|healthy spread|unlike_", re.IGNORECASE
)
# Names of command-line options, which stay as they are.
ALLOWED = {("MedADLib/cli/detect.py", "no_picture"), ("MedADLib/training/model_training.py", "pictures")}


def prose(path):
    """Names, comments and docstrings of a file, with their lines."""
    with io.StringIO(path.read_text(encoding="utf-8")) as lines:
        for token in tokenize.generate_tokens(lines.readline):
            if token.type in (tokenize.NAME, tokenize.COMMENT):
                yield token.start[0], token.string
    for node in ast.walk(syntax(path)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            yield getattr(node, "lineno", 1), ast.get_docstring(node) or ""


def test_code_and_tests_use_standard_terms():
    files = [path for folder in ("MedADLib", "MedAD", "Testing") for path in library_files(folder)]
    found = [
        f"{name}:{line}: {match[0]}"
        for path in files
        if (name := path.relative_to(ROOT).as_posix()) != "Testing/house/test_words.py"
        for line, text in prose(path)
        if (match := AVOIDED.search(text)) and (name, text) not in ALLOWED
    ]
    assert len(files) > 400 and found == []
