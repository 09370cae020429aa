"""Hidden characters of names, cards and results reach neither a terminal nor a label."""

from __future__ import annotations

import io
import json
import sys
import unicodedata

import pytest

from MedADLib.cli.console import Console
from MedADLib.cli.main import main
from MedADLib.errors import InputError
from MedADLib.messages import Message, say, set_translator, visible

HOSTILE = "a\x1b]0;owned\x07\x1b[2J\u202ecod.exe\u202c\u200b\u2066b\u2069\ufeff\u2028c\x9b31m\x7f\udc9f\r"


# Format characters with a shape of their own: signs of Arabic, Syriac, Kaithi, and joiners of Egyptian hieroglyphs.
DRAWN = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
DRAWN += "".join(map(chr, range(0x13430, 0x13440)))


def hidden(text: str) -> list[str]:
    """Characters that a reader does not see, or that change what they see; tabs and line breaks are none."""
    kinds, shown = ("Cc", "Cf", "Cs", "Zl", "Zp"), f"\n\t{DRAWN}"
    return [each for each in text if unicodedata.category(each) in kinds and each not in shown]


def test_every_control_format_and_surrogate_character_is_spelled_out():
    every = "".join(map(chr, range(sys.maxunicode + 1)))
    assert not hidden(visible(every))
    for kept in ("Grün, 頭, Ελληνικά, עברית, عربي 👩 e\u0301\n\tx", "C:\\scans\\a"):
        assert visible(kept) is kept
    assert visible("\x1b\u202e\udc80") == "\\x1b\\u202e\\udc80" and visible("a\r\nb\rc") == "a\nb\\rc"


def test_parameters_of_messages_are_spelled_out_in_every_language():
    error = InputError("not_found", path=HOSTILE)
    assert not hidden(str(error)) and "\\u202e" in str(error)
    assert error.parameters["path"] == HOSTILE, "programs get the name of the file as it is"
    set_translator(lambda context, text: text.upper() if "{" not in text else f"[{text}]")
    try:
        for text in (say("not_found", path=HOSTILE), Message("not_found", path=HOSTILE).translated()):
            assert not hidden(text)
    finally:
        set_translator(None)


@pytest.mark.parametrize("terminal", [True, False])
def test_nothing_raw_reaches_the_terminal(monkeypatch, capsys, terminal):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    with Console() as console:
        console.warning(HOSTILE)
        console.error("InputError", HOSTILE)
        console.progress("reading", 0.5, HOSTILE)
        console.result([HOSTILE], name=HOSTILE)
    printed = capsys.readouterr()
    allowed = printed.err.replace("\r", "")  # the progress bar draws itself again
    assert not hidden(allowed) and not hidden(printed.out) and "\\x1b]0;owned" in printed.out


def test_usage_and_names_on_the_command_line(capsys, tmp_path):
    assert main(["detect", HOSTILE, "--\x1b[31mwrong"]) == 2
    assert main(["detect", str(tmp_path / HOSTILE), "-o", str(tmp_path / "out")]) == 1
    printed = capsys.readouterr()
    assert not hidden(printed.out + printed.err)


def test_events_hold_them_escaped_and_whole(capsys):
    with Console(json_log=True) as console:
        console.error("InputError", Message("not_found", path=HOSTILE))
    line = capsys.readouterr().out
    assert line.isascii() and json.loads(line)["parameters"]["path"] == HOSTILE


def test_a_stream_that_is_no_terminal_takes_them_too():
    stream = io.StringIO()
    Console()._print("\u202e", stream)
    assert stream.getvalue() == "\\u202e\n"
