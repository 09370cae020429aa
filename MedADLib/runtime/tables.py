"""Tables as text: tab-separated, or comma-separated for the log of a training."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from .atomic_files import write_text


def table_text(columns: Sequence[str], rows: Iterable[Sequence], delimiter: str = "\t") -> str:
    """Format a line of column names and a line for each row."""
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter, lineterminator="\n").writerows([columns, *rows])
    return stream.getvalue()


def write_table(path: Path, rows: Sequence[Mapping], delimiter: str = "\t") -> None:
    """Write rows by column name atomically; the columns are all keys of the rows, and missing values are empty.

    Raises:
        OSError: If the file cannot be written; an older file stays.
    """
    columns = list(dict.fromkeys(key for row in rows for key in row))
    write_text(path, table_text(columns, ([row.get(name, "") for name in columns] for row in rows), delimiter))


def read_table(path: Path, delimiter: str = "\t") -> list[dict[str, str]]:
    """Read the rows of a table, by column name.

    Raises:
        OSError: If the file cannot be read.
    """
    with Path(path).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream, delimiter=delimiter))
