"""Check errors by code and parameters; house/test_messages.py tests the sentences."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from MedADLib.errors import MedADError


@contextmanager
def raises(kind: type[MedADError], code: str, **parameters: Any) -> Iterator[pytest.ExceptionInfo[MedADError]]:
    """Assert that the block raises an error of this kind, with this code and at least these parameters."""
    with pytest.raises(kind) as caught:
        yield caught
    assert caught.value.code == code, caught.value
    found = caught.value.parameters
    assert {name: found.get(name) for name in parameters} == parameters, caught.value
