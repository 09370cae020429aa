"""The real worker with a quick stand-in for the computation: it finds two blobs in every scan.

Started as ``python fake_worker.py [worker's arguments]``. How it behaves is the name of one of the functions below: the
value of the environment variable MEDAD_FAKE_WORKER where it is set, and else NAME in the JSON text of the model's file,
``{"do": NAME}``.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import logging
import os
import signal
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

TESTING = Path(__file__).resolve().parents[1]
BEHAVIOUR = "MEDAD_FAKE_WORKER"
STEPS = 3000


def load_model(path):
    from MedADLib.errors import ModelError

    if BEHAVIOUR in os.environ:
        return {"do": os.environ[BEHAVIOUR], "path": str(path)}
    try:
        model = json.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise ModelError("not_found", path=path) from error
    except ValueError as error:
        raise ModelError("model_cut_short", path=path) from error
    time.sleep(model.get("loading", 0))
    print("loaded", path)
    return model | {"path": str(path)}


def detect(volume, model, settings, progress, judgement=None):
    from support.two_blobs import two_blobs

    known = "" if judgement is None else ", judged before"
    print(f"examining {volume.name} with {model}{known}", file=sys.stderr, flush=True)
    progress.stage("preparation", 0.0, 0.2, "aligning to the model's template")
    progress.stage("restoration", 0.2, 0.9, "restoring the pseudo-healthy image")
    if model["do"] == "unfitting" and not settings.force:
        from MedADLib.errors import UnfitError

        facts = {"name": volume.name, "model": model["path"], "reason": "it is of another contrast"}
        facts |= {"models": "None", "force": "None"}
        raise UnfitError("scan_does_not_fit", **facts)
    globals()[model["do"]](progress)
    progress.stage("regions", 0.9, 1.0, "delineating regions")
    warned = (f"seed {settings.seed}", f"masked {settings.mask is not None}")
    found = replace(two_blobs(volume, settings, model["path"]), warnings=warned)
    if settings.force:
        return replace(found, provenance=found.provenance | {"fit": {"verdict": "unfit"}})
    return found


class Judgement:
    """Stand-in for that of `MedADLib.detection`."""

    def __init__(self, fit, name, alignable=True):
        self.fit, self.name, self.alignable = fit, name, alignable

    def refusal(self, force=False):
        from MedADLib.errors import UnfitError

        if self.fit.verdict != "unfit" or (force and self.alignable):
            return None
        if not self.alignable:
            return UnfitError("alignment_failed", name=self.name, model="brain-t1", information=0.1, limit=0.2)
        facts = {"name": self.name, "model": "brain-t1", "reason": self.fit.reasons[0]}
        facts |= {"models": "None", "force": "None"}
        return UnfitError("scan_does_not_fit_seems", kind="a FLAIR MR", **facts)


def judge(volume, model, mask, progress):
    from MedADLib.messages import Message
    from MedADLib.preprocessing.fit import Fit

    do = model["do"]
    print(f"judging {volume.name}{' ' * bool(volume.described)}{volume.described}", file=sys.stderr, flush=True)
    progress.stage("preparation", 0.05, 0.3, "aligning to the model's template")
    if do in ("judging_slowly", "refusing", "dying", "stubbornly"):
        (slowly if do == "judging_slowly" else globals()[do])(progress)
    if do in ("unfitting", "unalignable"):
        reasons = (Message("fit_other_contrast", structure=0.1, contrast=0.0),)
        return Judgement(Fit("unfit", reasons, "flair"), volume.name, do == "unfitting")
    if do == "doubting":
        return Judgement(Fit("doubtful", (Message("fit_little_contrast", likeness=0.4),)), volume.name)
    return Judgement(Fit(), volume.name)


def quickly(progress):
    """Nothing takes any time."""


unfitting = unalignable = doubting = judging_slowly = quickly


def slowly(progress):
    for step in range(STEPS):
        progress.update(step / STEPS, f"slice {step + 1} of {STEPS}")
        time.sleep(0.02)


def stubbornly(progress):
    time.sleep(60)


def in_c(progress):
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2_000_000_000)


def noisily(progress):
    print("a print")
    os.write(1, b"a raw write\n")
    os.system("echo a child")
    libc = ctypes.CDLL(None)
    libc.printf(b"a C library\n")
    libc.fflush(None)
    assert sys.stdin.read() == "" and os.read(0, 1) == b""
    warnings.warn("some library's own", stacklevel=1)


def warning(progress):
    from MedADLib.messages import Message

    for _ in range(3):
        logging.getLogger("MedADLib.preprocessing.brain_extraction").warning("no brain was found in %s", "Zoë")
    logging.getLogger("MedADLib.io.reading").warning(Message("thick_slices", path="scan", spacing=12.0))
    logging.getLogger("MedADLib.io.reading").warning("%s", Message("odd_extent", path="scan", extent=5.0))
    logging.getLogger("MedADLib.preprocessing.brain_extraction").info("nobody needs to know")


def without_memory(progress):
    raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")


def without_torch(progress):
    raise ModuleNotFoundError("No module named 'torch'", name="torch")


def wrongly(progress):
    raise ZeroDivisionError("division\nby zero")


def refusing(progress):
    from MedADLib.errors import InputError

    raise InputError("deepbet_missing", package="deepbet==1.0.2")


def without_disk_space(progress):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def on_a_full_disk(progress):
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def dying(progress):
    os.kill(os.getpid(), signal.SIGKILL)


def crashing(progress):
    ctypes.string_at(0)


def frozen(progress):
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(60)


if __name__ == "__main__":
    sys.path[:0] = [str(TESTING.parent), str(TESTING)]
    from MedADLib.worker import service
    from MedADLib.worker.main import main

    service.HEARTBEAT_SECONDS = 0.2
    os._exit(main(sys.argv[1:], detect, load_model, judge))
