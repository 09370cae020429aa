"""What reading a file raises."""

from __future__ import annotations

import pytest

from MedADLib.errors import InputError
from MedADLib.io.reading import read_image
from MedADLib.volume import stem


def refused(path, *codes):
    """Assert that reading fails with one of these codes, in one line that names the file, and return the message."""
    with pytest.raises(InputError) as caught:
        read_image(path)
    message = str(caught.value)
    assert caught.value.code in codes
    assert "\n" not in message and stem(path).encode("ascii", "backslashreplace").decode() in message
    assert caught.value.remedy
    return caught.value.message
