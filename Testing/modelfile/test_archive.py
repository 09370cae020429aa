"""Archives: every attack is refused with one line, and MedAD's own files are written completely or not at all."""

from __future__ import annotations

import errno
import os
import stat
import struct
import threading
import tracemalloc
import zipfile
import zlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest
from support.raised import raises
from support.zip_files import build, entry

from MedADLib.errors import ModelError, OutputError
from MedADLib.modelfile.archive import CAPS, Caps, read_archive, write_archive
from MedADLib.runtime.strict_json import from_json, json_of

FILES = {"configs/medad.json": b'{"a": 1}\n', "models/method.safetensors": bytes(range(256)) * 20, "LICENSE": b"free"}


def refusal(path, caps=CAPS):
    """Return the error, after checking that it is one line with the file and a remedy."""
    with pytest.raises(ModelError) as caught:
        read_archive(path, caps)
    text = str(caught.value)
    assert str(path) in text and "\n" not in text and text.isprintable()
    assert caught.value.remedy
    return caught.value


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.medad"


def test_valid_handmade_archives_are_readable(path):
    """Otherwise the refusals below would prove nothing."""
    build(path, entry("a/b.txt", b"hello"), entry("c", b"y" * 1000, method=zipfile.ZIP_DEFLATED))
    assert read_archive(path) == {"a/b.txt": b"hello", "c": b"y" * 1000}
    assert read_archive(path, only=("c",)) == {"c": b"y" * 1000}


def test_round_trip(path):
    write_archive(path, FILES)
    assert read_archive(path) == FILES
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None and archive.namelist() == sorted(FILES)


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd", "../evil", "a/../../evil", "a/..", "..", ".", "a/./b", "C:/evil", "C:evil", "c:\\evil",
        "a\\b", "..\\evil", "//host/share", "a//b", "folder/", "", "a\0b",
        "a\nb", "name\x1b[2J", " a", "brän", ".hidden", b"\xff\xfe",
    ],
)  # fmt: skip
def test_unsafe_names_are_refused_and_nothing_is_written(path, name):
    build(path, entry("good"), entry(name))
    refusal(path)
    assert [found.name for found in path.parent.rglob("*")] == [path.name]


def test_utf8_flag_with_a_name_that_is_not_utf8(path):
    refusal(build(path, entry(b"\xff\xfe", flags=0x800)))


def test_a_second_name_in_an_extra_field_is_not_followed(path):
    """Newer Pythons take the name from this field, older ones do not: the archive would mean two things."""
    second = struct.pack("<BI", 1, zlib.crc32(b"good")) + b"../evil"
    build(path, entry("good", extra=struct.pack("<HH", 0x7075, len(second)) + second))
    try:
        assert read_archive(path) == {"good": b"x"}
    except ModelError as error:
        assert error.code == "entry_unsafe_name"


@pytest.mark.parametrize("mode", [stat.S_IFLNK | 0o777, stat.S_IFIFO, stat.S_IFDIR | 0o755, stat.S_IFCHR])
def test_links_and_devices_are_refused(path, mode):
    assert refusal(build(path, entry("a", b"/etc/passwd", mode=mode))).code == "entry_not_a_file"


@pytest.mark.parametrize("names", [("a", "a"), ("models/A", "models/a"), ("license", "LICENSE")])
def test_duplicate_and_case_colliding_names_are_refused(path, names):
    assert refusal(build(path, *(entry(name) for name in names))).code == "entry_twice"


@pytest.mark.parametrize("flags", [0x1, 0x41, 0x2000])
def test_encrypted_entries_are_refused(path, flags):
    assert refusal(build(path, entry("a", flags=flags))).code == "entry_encrypted"


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, 99])
def test_other_compressions_are_refused(path, method):
    """Not all of them can be unpacked piece by piece, as the caps need it."""
    assert refusal(build(path, entry("a", method=method))).code == "entry_compression"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "model_empty"),
        (b"<!DOCTYPE html><html><body>Not found</body></html>", "model_not_zip"),
        (b"\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00]\x94.", "model_not_zip"),
        (b"PK\x03\x04", "model_cut_short"),
        (b"PK\x05\x06", "model_not_zip"),
    ],
)
def test_not_a_zip(path, content, code):
    path.write_bytes(content)
    assert refusal(path).code == code


def test_missing_file_folder_and_pipe(path):
    assert refusal(path).code == "not_found"
    assert refusal(path.parent / "missing" / "model.medad").code == "not_found"
    assert refusal(path.parent).code == "model_not_a_file"
    if hasattr(os, "mkfifo"):
        os.mkfifo(path)
        assert refusal(path).code == "model_not_a_file"


def test_every_cut_is_refused(path):
    write_archive(path, FILES)
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        refusal(path)


def test_every_flipped_byte_is_refused_or_harmless(path):
    """Nothing but ModelError may come of a damaged file, and never other content under the same name."""
    write_archive(path, FILES | {"text": b"abc" * 300})
    whole = path.read_bytes()
    expected = read_archive(path)
    generator = np.random.default_rng(0)
    refused = 0
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= int(generator.integers(1, 256))
        path.write_bytes(damaged)
        try:
            found = read_archive(path)
        except ModelError:
            refused += 1
        else:
            assert found == expected
    assert refused > len(whole) / 2


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"comment": b"hello"}, "model_cut_short"),
        ({"front": b"#!/bin/sh\n"}, "model_not_packed_by_medad"),
        ({"before_end": b"PK\x06\x07" + bytes(16)}, "model_not_packed_by_medad"),
        ({"count": 2}, "model_entry_count"),
    ],
)
def test_archives_that_two_readers_could_read_differently_are_refused(path, change, code):
    refused = refusal(build(path, entry("a"), **change))
    assert refused.code == code and refused.parameters.get("declared", 2) == 2


def test_too_many_entries(path):
    build(path, *(entry(f"e{number}") for number in range(CAPS.entries)))
    assert len(read_archive(path)) == CAPS.entries
    refused = refusal(build(path, *(entry(f"e{number}") for number in range(CAPS.entries + 1))))
    assert refused.code == "model_many_entries" and str(CAPS.entries) in refused.problem


def test_a_hundred_thousand_entries_behind_a_false_count_cost_no_memory(path):
    one = b"PK\x01\x02" + bytes(42)
    build(path, entry("a"), before_end=one * 100_000)
    tracemalloc.start()
    refusal(path)
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


def test_a_bomb_is_given_up_while_it_unpacks(path):
    """The cap holds for the bytes that come out, whatever the archive declares, before they fill the memory."""
    bomb = bytes(64 << 20)
    build(path, entry("a", bomb, method=zipfile.ZIP_DEFLATED))
    for caps in (Caps(), Caps(ratio=10**6, entry_bytes=8 << 20), Caps(ratio=10**6, total_bytes=8 << 20)):
        tracemalloc.start()
        assert refusal(path, caps).code in ("entry_ratio", "entry_too_large", "model_unpacks_too_large")
        assert tracemalloc.get_traced_memory()[1] < 24 << 20
        tracemalloc.stop()


def test_the_total_counts_over_all_entries(path):
    entries = [entry(f"e{number}", bytes([number]) * 600_000, method=zipfile.ZIP_DEFLATED) for number in range(4)]
    build(path, *entries)
    assert len(read_archive(path, Caps(total_bytes=2_400_000, ratio=10**6))) == 4
    assert refusal(path, Caps(total_bytes=2_399_999, ratio=10**6)).code == "model_unpacks_too_large"


def test_the_whole_unpacks_to_a_bounded_multiple_of_the_file(path, monkeypatch):
    """Entries within their own ratio must not add up to a gigabyte; honest and false sizes are found alike."""
    caps = Caps(always_bytes=1 << 20, whole_ratio=20)
    random = np.random.default_rng(0)
    data = b"".join(random.bytes(250) + bytes(20_000) for _ in range(100))  # about 70 times
    names = "abcd"
    build(path, *(entry(name, data, method=zipfile.ZIP_DEFLATED) for name in names))
    assert 20 * path.stat().st_size < len(names) * len(data) < 200 * path.stat().st_size
    with monkeypatch.context() as patch:
        patch.setattr(zipfile.ZipFile, "open", None)  # refused before any entry is read
        assert refusal(path, caps).code == "model_unpacks_too_large"
    build(path, *(entry(name, data, method=zipfile.ZIP_DEFLATED, declared=100_000) for name in names))
    assert refusal(path, caps).code in ("entry_too_large", "entry_size", "model_damaged")
    build(path, *(entry(name, data, method=zipfile.ZIP_DEFLATED) for name in names))
    assert len(read_archive(path)) == 4  # a small total is allowed for a file of any size


@pytest.mark.parametrize("declared", [0, 10, 999, 1001, 2**32 - 2])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_false_sizes_are_refused(path, declared, method):
    refusal(build(path, entry("a", bytes(range(250)) * 4, method=method, declared=declared)))


def test_wrong_checksum_is_refused(path):
    assert refusal(build(path, entry("a", b"hello", crc=1))).code == "model_damaged"


def test_entries_that_share_their_bytes_are_refused(path):
    first = entry("a", bytes(100_000), method=zipfile.ZIP_DEFLATED)
    others = [entry(f"b{n}", bytes(100_000), method=zipfile.ZIP_DEFLATED, shared_offset=0) for n in range(20)]
    assert refusal(build(path, first, *others)).code == "model_entries_overlap"


def test_same_content_gives_same_bytes(tmp_path, monkeypatch):
    write_archive(tmp_path / "a", FILES)
    monkeypatch.setattr("time.localtime", lambda *_: (2031, 1, 1, 1, 1, 2, 0, 1, 0))
    monkeypatch.setattr("sys.platform", "win32")
    write_archive(tmp_path / "b", dict(reversed(FILES.items())))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_what_shrinks_is_deflated_but_never_beyond_our_own_caps(path):
    noise = np.random.default_rng(0).bytes(1 << 20)
    mask = np.repeat(np.random.default_rng(1).integers(0, 2, 40_000, dtype=np.uint8), 64).tobytes()
    files = {"weights": noise, "mask": mask, "zeros": bytes(4 << 20)}
    write_archive(path, files)
    assert read_archive(path) == files
    with zipfile.ZipFile(path) as archive:
        packed = {info.filename: info.compress_size for info in archive.infolist()}
    assert packed["weights"] == len(noise) and packed["mask"] < len(mask) / 20


def test_a_name_that_would_be_refused_is_not_written(path):
    with pytest.raises(ModelError):
        write_archive(path, {"../evil": b""})
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("failing", ["os.fsync", "os.replace"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_failure_while_writing_keeps_the_old_file_and_leaves_nothing(path, monkeypatch, failing, error):
    write_archive(path, {"old": b"old"})

    def fail(*_):
        raise error

    monkeypatch.setattr(failing, fail)
    with pytest.raises(OutputError if isinstance(error, OSError) else KeyboardInterrupt):
        write_archive(path, FILES)
    assert read_archive(path) == {"old": b"old"}
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_full_disk(path):
    """The system itself refuses to write on after some bytes."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(OutputError) as caught:
            write_archive(path, {"weights": np.random.default_rng(0).bytes(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(path) in str(caught.value) and caught.value.remedy
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("place", ["missing/model.medad", "file/model.medad", "folder"])
def test_places_that_cannot_be_written(tmp_path, place):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OutputError):
        write_archive(tmp_path / place, FILES)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_new_file_gets_the_usual_permissions(path):
    """A shared models folder is of no use with files that only their writer can read."""
    write_archive(path, FILES)
    (path.parent / "usual").write_bytes(b"")
    assert path.stat().st_mode == (path.parent / "usual").stat().st_mode


def test_two_writers_at_once_and_a_reader_see_whole_files_only(path):
    contents = [{"weights": bytes([number]) * 300_000} for number in range(2)]
    write_archive(path, contents[0])

    def write(files):
        for _ in range(10):
            write_archive(path, files)

    writers = [threading.Thread(target=write, args=(files,)) for files in contents]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert read_archive(path) in contents
    assert [found.name for found in path.parent.iterdir()] == [path.name]


UNSOUND = {
    "empty_text": [b""],
    "bad_json": [
        b"{", b"[" * 200_000, b'{"a": NaN}', b'{"a": 1e999}', b'{"a": -Infinity}', b'{"a": 1, "a": 2}', b"9" * 5000,
    ],
    "not_utf8": [b"\xff", "{}".encode("utf-16")],
    "text_too_long": [b" " * (2 << 20) + b"{}"],
    "control_characters": [b"{}\0", b'"\\ud800"', b'"\\u001b[2J"'],
    "code_in_json": [b'[{"_target_": 1}]', b'{"a": ["$import os"]}'],
}  # fmt: skip


@pytest.mark.parametrize("code", UNSOUND)
def test_unsound_json_is_refused(code):
    for content in UNSOUND[code]:
        with pytest.raises(ModelError) as refused:
            json_of({"a.json": content}, "a.json")
        assert refused.value.code == code and refused.value.parameters["name"] == "a.json", content[:40]


@dataclass(frozen=True)
class Settings:
    count: int
    share: float
    deep: bool
    kind: Literal["plain", "fine"]
    sizes: tuple[int, ...]
    pair: tuple[float, str] | None = None


VALUES = {"count": 3, "share": 1, "deep": True, "kind": "fine", "sizes": [1, 2], "pair": [0.5, "mm"]}


def test_json_becomes_a_dataclass():
    built = from_json(Settings, VALUES, "settings")
    assert built == Settings(3, 1.0, True, "fine", (1, 2), (0.5, "mm")) and type(built.share) is float
    assert from_json(Settings, VALUES | {"pair": None, "sizes": []}, "settings") == Settings(3, 1.0, True, "fine", ())


@pytest.mark.parametrize(
    "change",
    [
        {"count": 3.0}, {"count": True}, {"count": "3"}, {"count": None}, {"share": True}, {"share": "1"}, {"deep": 1},
        {"kind": "other"}, {"kind": ["fine"]}, {"sizes": 1}, {"sizes": [1.0]}, {"sizes": "12"}, {"sizes": {"1": 2}},
        {"pair": [0.5]}, {"pair": [0.5, "mm", 1]}, {"pair": ["mm", 0.5]}, {"extra": 1}, {"__class__": "x"},
    ],
)  # fmt: skip
def test_json_that_is_not_an_exact_dataclass_is_refused(change):
    name, value = next(iter(change.items()))
    with pytest.raises(ModelError) as refused:
        from_json(Settings, VALUES | change, "settings")
    assert refused.value.problem.startswith("settings ") and name in refused.value.problem
    code = "wrong_type" if name in VALUES else "unknown_key"
    assert refused.value.code == ("wrong_value" if name == "kind" else code)
    assert name != "kind" or (repr(value) in refused.value.problem and "plain, fine" in refused.value.problem)


def test_a_missing_key_is_refused_even_if_it_has_a_default():
    for missing in VALUES:
        with raises(ModelError, "missing_key") as refused:
            from_json(Settings, {key: value for key, value in VALUES.items() if key != missing}, "settings")
        assert refused.value.parameters == {"name": "settings", "key": missing}
