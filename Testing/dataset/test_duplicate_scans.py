"""Of equal scans the same one is kept everywhere, and not the copy."""

from __future__ import annotations

import itertools

import pytest

from MedADLib.dataset.checks import kept_first


@pytest.mark.parametrize(
    "names",
    [
        ("original", "copy"),
        ("scan", "copy of scan"),
        ("scan", "scan (1)", "scan (2)"),
        ("scan", "scan - Copy"),
        ("a", "b"),
        ("scan-2", "scan-10"),
        ("scan", "a_copy2"),
        ("scan", "Kopie von scan"),
        ("copyist", "zebra"),
        ("photocopy", "zebra"),
    ],
)
def test_the_first_stays_and_no_copy_whatever_the_order(names):
    for order in itertools.permutations(names):
        assert kept_first(order) == list(names)


def test_names_that_differ_in_case_or_zeros_alone_have_one_order_too():
    assert kept_first(["a1", "A1", "a01"]) == kept_first(["a01", "a1", "A1"])
