"""Failures of a real pip are recognised; test_installer.py has those that cannot be had here."""

from __future__ import annotations

import os
import subprocess
import sys

from MedADLib.slicer.install.packages import cause_of


def test_failures_are_explained_from_what_a_real_pip_says(tmp_path):
    """Offline, and against the pins."""
    (tmp_path / "c d.txt").write_text("numpy==1.0\n")
    environment = os.environ | {"PIP_CONSTRAINT": (tmp_path / "c d.txt").as_uri(), "PIP_CONFIG_FILE": os.devnull}
    for arguments, code in (
        (["--index-url", "https://127.0.0.1:9/simple", "made-up"], "install_no_connection"),
        (["--no-index", "numpy>1.1"], "install_conflict"),
    ):
        pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--retries", "1", "--no-deps", *arguments]
        done = subprocess.run(pip, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode != 0
        assert cause_of((done.stdout + done.stderr).splitlines()) == code, done.stdout + done.stderr
