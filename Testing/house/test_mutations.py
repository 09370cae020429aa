"""The list of mutations fits the code: a change of a module that has one must carry the list along."""

from __future__ import annotations

from mutations import MUTATIONS
from support.source_code import ROOT


def test_the_old_text_of_a_mutation_occurs_once_and_its_test_file_exists():
    texts = {mutation: (ROOT / mutation.module).read_text(encoding="utf-8") for mutation in MUTATIONS}
    assert [mutation.module for mutation, text in texts.items() if text.count(mutation.old) != 1] == []
    assert [mutation.test for mutation in MUTATIONS if not (ROOT / mutation.test).is_file()] == []
    for mutation, text in texts.items():
        compile(text.replace(mutation.old, mutation.new), mutation.module, "exec")


def test_twenty_modules_have_a_mutation_each():
    assert len({mutation.module for mutation in MUTATIONS}) == len(MUTATIONS) == 20
