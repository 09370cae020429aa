"""Twenty realistic mistakes in the library, each of which a named test file must find: `make mutations`.

The script copies the working tree into a temporary folder. There it runs each named test file, first as it is and then
with one mistake in the library. The exit code is 1 if a test file fails without the mistake or passes with it.
`test_mutations.py` asserts that each old text occurs once in its module: a change of the code carries the list along.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIMIT_SECONDS = 600
FAILED_TEST = re.compile(r"^(?:FAILED|ERROR) \S+?::(.+?)(?: - .*)?$", re.MULTILINE)


@dataclass(frozen=True)
class Mutation:
    """A mistake: a text that occurs once in a module, and its replacement; with what a user would suffer from it."""

    module: str
    test: str
    old: str
    new: str
    harm: str


# fmt: off
MUTATIONS = (
    Mutation("MedADLib/volume.py", "Testing/test_volume.py",
             "cls(sitk.GetArrayFromImage(image), LPS_RAS @ lps, name)", "cls(sitk.GetArrayFromImage(image), lps, name)",
             "left and right, front and back are exchanged in every image that ITK reads"),
    Mutation("MedADLib/io/dicom.py", "Testing/io/test_dicom.py",
             "lps[:3, 3] = positions[0]", "lps[:3, 3] = positions[-1]",
             "a DICOM series and its findings lie a whole scan too high"),
    Mutation("MedADLib/preprocessing/registration.py", "Testing/preprocessing/test_registration.py",
             "return LPS_RAS @ lps @ LPS_RAS", "return lps",
             "a brain is compared with places of the template on the other side"),
    Mutation("MedADLib/preprocessing/intensity.py", "Testing/preprocessing/test_intensity.py",
             "_piecewise(values, self.target, self.source)", "_piecewise(values, self.source, self.target)",
             "the pseudo-healthy image has other intensities than the scan"),
    Mutation("MedADLib/scoring/voxelwise.py", "Testing/scoring/test_calibration.py",
             "self.add(score, mask, -1)", "self.add(score, mask, 0)",
             "each healthy scan is judged by itself, so that p-values are too small"),
    Mutation("MedADLib/scoring/healthy_reference.py", "Testing/scoring/test_calibration.py",
             "(1 + int((self.maxima >= peak).sum()))", "int((self.maxima >= peak).sum())",
             "the p-value of a strong region is 0"),
    Mutation("MedADLib/scoring/regions.py", "Testing/scoring/test_regions.py",
             "to_right > midline", "to_right < midline",
             "a finding on the left is reported on the right"),
    Mutation("MedADLib/methods/sampling/task.py", "Testing/methods/sampling/test_task.py",
             "np.random.default_rng([*key, place])", "np.random.default_rng([key[1], place])",
             "the seed of a run has no effect, and results of earlier versions do not repeat"),
    Mutation("MedADLib/networks/vqvae.py", "Testing/networks/test_vqvae_and_prior.py",
             "self.sums.mul_(DECAY).add_(sums, alpha=1 - DECAY)", "self.sums.mul_(DECAY).add_(sums)",
             "the codebook grows without end, and training yields a useless model"),
    Mutation("MedADLib/training/loop.py", "Testing/training/test_loop.py",
             'for step in range(state["step"], plan.steps):', 'for step in range(state["step"] + 1, plan.steps):',
             "a training that is continued skips a step and gives another model"),
    Mutation("MedADLib/dataset/split.py", "Testing/dataset/test_split.py",
             "subjects[name] if subjects else name, []", "name, []",
             "scans of one subject train and judge a model, so that its results are too good"),
    Mutation("MedADLib/modelfile/manifest.py", "Testing/modelfile/test_model.py",
             "hashlib.sha256(files[name]).hexdigest() != manifest.files[name]", "name not in manifest.files",
             "a changed model file is used without an error"),
    Mutation("MedADLib/modelfile/archive.py", "Testing/modelfile/test_archive.py",
             "_PLAIN_NAME.fullmatch(name)", "_PLAIN_NAME.match(name)",
             "a model file with unsafe entry names is accepted"),
    Mutation("MedADLib/results/writing.py", "Testing/results/test_writing.py",
             "volume.ras_from_voxels([[z, y, x] for x", "volume.ras_from_voxels([[x, y, z] for x",
             "the boxes in the table of regions lie elsewhere in the brain"),
    Mutation("MedADLib/detection.py", "Testing/worker/test_protocol.py",
             'raise InputError("unknown_setting", name=f"{unknown[0]:.80}", known=", ".join(cls.names()))',
             "values = {name: value for name, value in values.items() if name not in unknown}",
             "a misspelled setting is ignored, and the run uses another seed or threshold than requested"),
    Mutation("MedADLib/slicer/scene/ownership.py", "Testing/slicer/scene/test_viewing.py",
             "ours = bool(owner) and owner in shown and", "ours = bool(owner) and",
             "regions of one patient are shown on the scan of another"),
    Mutation("MedADLib/slicer/scene/decisions.py", "Testing/slicer/scene/test_decisions.py",
             "if value >= highest.get(label, -math.inf):", "if value <= highest.get(label, math.inf):",
             "a region takes over the decision on the weaker of two places"),
    Mutation("MedADLib/slicer/scene/undo.py", "Testing/slicer/scene/test_undo.py",
             "_last[result.input].restore(scene)", "list(_last.values())[-1].restore(scene)",
             "undo changes the result of the scan that was examined last, not of the chosen one"),
    Mutation("MedADLib/messages/__init__.py", "Testing/house/test_messages.py",
             '(_translate(context, text) if text else "")', '(_translate("messages", text) if text else "")',
             "Slicer finds no translation of a message, and the panel mixes languages"),
    Mutation("MedADLib/cli/main.py", "Testing/cli/test_view.py",
             "return UNFIT_CODE if isinstance(error, UnfitError) else 1",
             "return UNFIT_CODE if isinstance(error, UnfitError) else 0",
             "a script continues after a run that failed"),
)
# fmt: on


def copy_tree(folder: Path) -> None:
    """Copy what git tracks or would track into a folder."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    for name in names:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def run_tests(tree: Path, test: str) -> tuple[int | None, float, str]:
    """Run a test file of a copy; return the exit code (None after the time limit), seconds and pytest's output."""
    # No compiled files: one of the text before, of equal size and changed in the same second, would count as current.
    environment = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": os.pathsep.join([str(tree), str(tree / "Testing")])}
    environment["MEDAD_DATA"] = os.environ.get("MEDAD_DATA") or str(ROOT.parent / "shared" / "data")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n0", "-p", "no:cacheprovider", test]
    started = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        options = {"cwd": tree, "env": os.environ | environment, "stdout": output, "stderr": subprocess.STDOUT}
        try:
            code = subprocess.run(command, timeout=LIMIT_SECONDS, **options).returncode
        except subprocess.TimeoutExpired:
            code = None
        output.seek(0)
        return code, time.perf_counter() - started, output.read().decode(errors="replace")


def check(mutation: Mutation, tree: Path, passed: dict[str, float]) -> tuple[bool, str]:
    """Return whether a mutation is caught, and the report on it.

    Args:
        mutation: The mutation.
        tree: A copy of the working tree, which is as before at the end.
        passed: Seconds of the test files that pass without a mutation; receives the present one.
    """
    if mutation.test not in passed:
        code, seconds, output = run_tests(tree, mutation.test)
        if code != 0:
            return False, f"{mutation.test} fails without the mutation (exit code {code})\n{output[-2000:]}"
        passed[mutation.test] = seconds
    module = tree / mutation.module
    text = module.read_text(encoding="utf-8")
    if text.count(mutation.old) != 1:
        return False, f"the old text occurs {text.count(mutation.old)} times in {mutation.module}"
    module.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
    code, seconds, output = run_tests(tree, mutation.test)
    module.write_text(text, encoding="utf-8")
    # Exit code 1: some tests failed. Another one, as of an error of collection, says nothing about what they assert.
    verdict = f"caught by {', '.join(FAILED_TEST.findall(output))}" if code == 1 else f"NOT caught (exit code {code})"
    times = f"{passed[mutation.test]:.1f} s unchanged, {seconds:.1f} s mutated"
    return code == 1, f"{verdict}; {times}\n    {mutation.module} | {mutation.test}\n    {mutation.harm}"


def main() -> int:
    """Run all mutations, or one of them; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    numbers = range(1, len(MUTATIONS) + 1)
    parser.add_argument("--only", type=int, metavar="N", choices=numbers, help="run one mutation, counted from 1")
    only = parser.parse_args().only
    missed, passed = [], {}
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        copy_tree(tree)
        for number in [only] if only else numbers:
            caught, report = check(MUTATIONS[number - 1], tree, passed)
            print(f"{number:2} {report}", flush=True)
            missed += [] if caught else [number]
    print(f"not caught: {missed}" if missed else "all caught")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
