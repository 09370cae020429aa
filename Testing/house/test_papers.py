"""Every method says whose it is, in docs/METHODS.md and on the card of a trained model."""

from __future__ import annotations

import re
import sys
from types import SimpleNamespace

from support.source_code import ROOT

from MedADLib.methods.bibliography import PAPERS, papers_of
from MedADLib.methods.registry import ENTRIES, METHODS

PAGE = (ROOT / "docs" / "METHODS.md").read_text(encoding="utf-8")
LISTED = {int(n): text for n, text in re.findall(r"^(\d+)\. (.*)$", PAGE.partition("## Papers")[2], re.M)}


def of(name, facts=None, **settings):
    return papers_of(SimpleNamespace(name=name, parameters=METHODS[name].Parameters(**settings)), facts or {})


def test_the_page_and_the_cards_name_the_same_papers():
    assert PAPERS.keys() == LISTED.keys()
    for number, paper in PAPERS.items():
        for place in re.findall(r"(?:doi:|arXiv:|PMLR )\S+", paper.replace(";", "")):
            assert place in LISTED[number]
        assert re.search(r"\d{4}", paper).group() in LISTED[number]


def test_every_method_names_the_papers_that_its_row_of_the_table_names():
    for name in METHODS:
        row = re.search(rf"^\| (?:`\w+`, )*`{name}` \|.*\| ([\d, ]*)\|$", PAGE, re.M)
        assert row, name
        numbers = {int(n) for n in re.findall(r"\d+", row.group(1))}
        own = set(ENTRIES[name].papers)
        assert own <= numbers <= own | set(ENTRIES[name].setting_papers.values()), name


def test_settings_add_the_papers_that_they_are_from():
    assert len(of("autoencoder")) == 1
    assert [paper[:5] for paper in of("autoencoder", variant="memory", loss="ssim")] == ["Cai, ", "Bergm", "Gong "]
    assert "Tan et al. 2021" in of("fpi", blending="poisson")[-1]
    assert "Schlegl et al. 2017" in of("f_anogan", search_steps=5)[-1] and len(of("f_anogan")) == 1
    assert of("atlas", shape=(2, 2, 2), spacing=(1.0, 1.0, 1.0)) == []


def test_a_schedule_adds_the_paper_that_it_is_from_and_no_paper_comes_twice():
    for schedule in ("morphaeus", "apart"):
        assert len(of("morphaeus", {"schedule": schedule})) == 1
    both = of("morphaeus", {"schedule": "morphade", "last": {}})
    assert [paper[:6] for paper in both] == ["Bercea", "Avci e"]
    assert of("morphaeus", {"schedule": "morphade"}, score="jacobian") == both


def test_who_opens_a_method_reads_whose_it_is():
    for name in (name for name in METHODS if ENTRIES[name].papers):
        kind = METHODS[name]
        texts = f"{kind.__doc__} {sys.modules[kind.__module__].__doc__}"
        years = {year for n in ENTRIES[name].papers for year in re.findall(r"\b(?:19|20)\d\d\b", PAPERS[n])}
        assert kind.__doc__ and any(year in texts for year in years), name
