"""What an error says, by its code and parameters; the sentences are tested in house/test_messages.py."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from MedADLib.errors import MedADError


@contextmanager
def raises(kind: type[MedADError], code: str, **parameters: Any) -> Iterator[None]:
    """Assert that the block raises an error of this kind, with this code and at least these parameters."""
    with pytest.raises(kind) as caught:
        yield
    assert caught.value.code == code, caught.value
    found = caught.value.parameters
    assert {name: found.get(name) for name in parameters} == parameters, caught.value
