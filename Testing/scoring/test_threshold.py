from __future__ import annotations

import pytest
from support.refusals import accepted

from MedADLib.errors import InputError
from MedADLib.scoring.healthy_reference import Threshold


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [
        ("3.5", 3.5, ""),
        ("1ml", 1.0, "ml"),
        (" 0.1% ", 0.1, "%"),
        ("2 ML", 2.0, "ml"),
        (".5", 0.5, ""),
        ("4.", 4.0, ""),
        ("0", 0.0, ""),
    ],
)
def test_a_threshold_is_read_as_people_write_it(text, amount, unit):
    assert Threshold.parse(text) == Threshold(amount, unit)


@pytest.mark.parametrize("text", ["", "abc", "-1", "nan", "inf", "1e3", "5 l", "1mlx", "1;2", "%", "1 ml ml", "3,5"])
def test_what_is_no_threshold_is_refused_with_an_example(text):
    with pytest.raises(InputError) as caught:
        Threshold.parse(text)
    assert caught.value.code == "bad_threshold" and "3.5, 1ml or 0.1%" in caught.value.remedy


def test_thresholds_that_make_no_sense_cannot_be_made():
    wrong = [(-1.0, ""), (float("nan"), ""), (float("inf"), "ml"), (1.0, "mm")]
    assert accepted(InputError, lambda row: Threshold(*row), wrong) == []


def test_a_threshold_that_is_written_down_is_read_back_as_it_was():
    written = ["3.5", "1ml", "0.1%", "0.00002%", "1234567ml", "3.14159265"]
    assert [text for text in written if Threshold.parse(str(Threshold.parse(text))) != Threshold.parse(text)] == []
