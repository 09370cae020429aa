"""The list of mutations fits the code: a change of a module that has one must carry the list along."""

from __future__ import annotations

import pytest
from mutations import MUTATIONS
from support.source_code import ROOT


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.module)
def test_the_old_text_of_a_mutation_occurs_once_and_its_test_file_exists(mutation):
    text = (ROOT / mutation.module).read_text(encoding="utf-8")
    assert text.count(mutation.old) == 1
    compile(text.replace(mutation.old, mutation.new), mutation.module, "exec")
    assert (ROOT / mutation.test).is_file()


def test_twenty_modules_have_a_mutation_each():
    assert len({mutation.module for mutation in MUTATIONS}) == len(MUTATIONS) == 20
