"""No training goes on with another one's weights, or with other scans."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from MedADLib.errors import InputError
from MedADLib.io.sources import Source
from MedADLib.training.config import training_folder
from MedADLib.training.data import _refuse_changed as refuse_changed

PLAIN = training_folder(Path("work"), "vae", {})


def test_a_method_as_it_is_has_the_folder_of_its_name():
    assert Path("work/vae") == PLAIN == training_folder(Path("work"), "vae", {}, None, True)


@pytest.mark.parametrize(
    "chosen", [({"kl_weight": 5},), ({"kl_weight": 6},), ({"error": "l1"},), ({}, 4), ({}, 5), ({}, None, False)]
)
def test_every_other_setting_has_a_folder_of_its_own(chosen):
    folder = training_folder(Path("work"), "vae", *chosen)
    assert folder.parent == Path("work") and folder.name.startswith("vae-") and folder != PLAIN
    others = [({"kl_weight": 5},), ({"kl_weight": 6},), ({"error": "l1"},), ({}, 4), ({}, 5), ({}, None, False)]
    assert [folder == training_folder(Path("work"), "vae", *other) for other in others].count(True) == 1


def test_the_order_of_settings_does_not_matter():
    one, other = ({"error": "l1", "latent": 3}, {"latent": 3, "error": "l1"})
    assert training_folder(Path("w"), "vae", one) == training_folder(Path("w"), "vae", other)


def test_scans_that_changed_since_they_were_prepared_are_refused(tmp_path):
    file, split = tmp_path / "a.png", SimpleNamespace(train=["a"], validation=[])
    file.write_bytes(b"healthy")
    scans = {"a": Source(file, "a", "a")}
    for _ in range(2):
        refuse_changed(scans, split, tmp_path)
    file.write_bytes(b"another")
    os.utime(file, ns=(1, 1))
    with pytest.raises(InputError) as caught:
        refuse_changed(scans, split, tmp_path)
    assert caught.value.code == "work_of_changed_scans"
    assert (caught.value.parameters["count"], caught.value.parameters["example"]) == (1, "a")
