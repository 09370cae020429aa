"""The references: found by their links, told apart, and the same in the help and in the README."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

from support.source_code import ROOT

from MedADLib.methods.bibliography import REFERENCES, THANKS, html, markdown

DOI = re.compile(r"10\.\d{4,5}/[^\s)\]>,;\"]+[^\s)\]>,;.\"]")


def sound(entry):
    """Whether a reference is complete and can be found."""
    link = re.fullmatch(r"https://(doi\.org/10\.\d{4,5}/\S+|arxiv\.org/abs/\d{4}\.\d{5})", entry.link)
    complete = all((entry.authors, entry.title, entry.venue, entry.why)) and 1990 < entry.year < 2100
    return link and complete and (DOI.fullmatch(entry.doi) or entry.label.startswith("arxiv.org/abs/"))


def test_references_are_complete_and_can_be_found():
    assert len(REFERENCES) > 5 and [entry.title for entry in REFERENCES if not sound(entry)] == []


def test_references_differ():
    assert len({entry.link for entry in REFERENCES}) == len(REFERENCES) == len({entry.title for entry in REFERENCES})


def test_help_is_well_formed_and_links_every_reference():
    page = ElementTree.fromstring(f"<html>{html()}</html>")
    assert [link.get("href") for link in page.iter("a")] == [entry.link for entry in REFERENCES]
    text = "".join(page.itertext())
    assert all(entry.title in text and entry.authors in text for entry in REFERENCES) and THANKS in text


def test_readme_list_has_one_line_for_each_reference():
    lines = [line for line in markdown().splitlines() if line.startswith("- ")]
    assert len(lines) == len(REFERENCES)
    assert all(f"]({entry.link})" in line and entry.title in line for entry, line in zip(REFERENCES, lines))


def test_readme_names_no_other_identifiers():
    """What the README cites by DOI is cited with the details that are kept here."""
    found = {match.rstrip("`") for match in DOI.findall((ROOT / "README.md").read_text("utf-8"))}
    assert found and found <= {entry.doi for entry in REFERENCES}
