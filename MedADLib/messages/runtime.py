"""Sentences of the package `runtime` and of `errors`, by code."""

from . import Sentence as S
from . import mark as _

# Remedies of several sentences.
FREE_SPACE = _("Free some disk space.")
CHECK_PATH = _("Check the path and its permissions.")
OTHER_FOLDER = _("Choose another output folder.")
UNTRUSTED = _("Do not use it; get the file from a source that you trust.")

SENTENCES = {
    "cancelled": _("cancelled"),
    "cancelled_resumable": S(_("cancelled"), _("The same command continues.")),
    "finishing_step": S(_("finishing the step, to keep its checkpoint"), _("Another Ctrl-C ends at once.")),
    # Failures that are not errors of MedAD.
    "package_missing": S(
        _("the Python package {package} is missing or damaged"),
        _("Install it with pip; in Slicer, click Run Detection in the MedAD panel and agree."),
    ),
    "out_of_memory": S(_("too little memory"), _("Close other programs or examine a smaller scan.")),
    "disk_full": S(_("{reason}"), FREE_SPACE),
    "disk_full_at": S(_("{reason} ({path})"), FREE_SPACE),
    "system_error": S(_("{reason}"), CHECK_PATH),
    "system_error_at": S(_("{reason} ({path})"), CHECK_PATH),
    "internal_error": S(_("{kind}: {reason}"), _("This is a fault in MedAD; see the log.")),
    "internal_error_in_command": S(_("{kind}: {reason}"), _("This is a fault in MedAD; see --debug.")),
    # Output folders.
    "folder_not_writable": S(_("{folder} cannot be written: {reason}"), OTHER_FOLDER),
    "folder_is_file": S(_("{folder} cannot be written: it is a file"), OTHER_FOLDER),
    "folder_busy": S(
        _("another process of MedAD has kept {folder} busy for {seconds:.0f} s"), _("Try again when it has ended.")
    ),
    "file_is_folder": S(_("{path} is a folder"), _("Give the name of a file.")),
    "no_space_for_model": S(
        _("the disk of {folder} has {free:.0f} MB left, and a model takes up to {needed:.0f} MB"),
        _("Free some disk space, or give -o on another disk."),
    ),
    # Devices.
    "unknown_device": S(_("the device {device!r} is unknown"), _("Use auto, cpu, cuda or cuda:N.")),
    "no_gpu": S(_("the GPU {device} does not exist"), _("Use --device cpu, or auto to use a GPU if there is one.")),
    "mps_not_supported": S(
        _("the device {device} is not supported: MedAD's results have not been validated on GPUs of Apple"),
        _("Use auto or cpu."),
    ),
    "torch_without_cuda": S(
        _("the installed PyTorch is built for CPUs only and does not use the NVIDIA GPU of this computer"),
        _("Install PyTorch with CUDA, or choose the device cpu."),
    ),
    "gpu_driver_unusable": S(
        _("PyTorch does not find the NVIDIA GPU of this computer: its driver may be too old for this PyTorch"),
        _("Update the driver, or choose the device cpu."),
    ),
    "gpu_no_kernel": S(
        _("the installed PyTorch has no code for the model of the GPU {device}; computed on the CPU"),
        _("Install a PyTorch for this GPU, or choose the device cpu."),
    ),
    "gpu_illegal_access": S(
        _("the GPU {device} stopped after an illegal access to its memory; computed on the CPU"),
        _("To use the GPU again, restart MedAD. If this repeats, choose the device cpu."),
    ),
    "gpu_lost": S(
        _("the GPU {device} does not answer any more; computed on the CPU"),
        _("To use the GPU again, restart MedAD; check the driver and the temperature of the GPU."),
    ),
    "gpu_failed": S(
        _("the GPU {device} failed; computed on the CPU"),
        _("To use the GPU again, restart MedAD. If this repeats, choose the device cpu."),
    ),
    "smaller_batches": _("{device} had little memory; computed in batches of 1/{divisor}"),
    "computed_on_cpu": _("{device} had too little memory; computed on the CPU"),
    # JSON and text of unknown origin.
    "text_too_long": S(_("{name} is longer than the {limit} bytes allowed"), UNTRUSTED),
    "not_utf8": _("{name} is not UTF-8 text"),
    "empty_text": _("{name} is empty"),
    "control_characters": S(_("{name} holds control characters"), UNTRUSTED),
    "bad_json": _("{name} is not valid JSON ({reason})"),
    "code_in_json": S(_("{name} holds {value}, which bundle loaders take for code"), UNTRUSTED),
    "not_json": S(_("the model has values that JSON cannot hold ({reason})"), _("Use plain finite values.")),
    "not_an_object": _("{name} is not an object"),
    "unknown_key": S(
        _("{name} has the unknown key {key}"), _("Update MedAD. If it is up to date: Download or copy the file again.")
    ),
    "missing_key": _("{name} lacks {key}"),
    "wrong_type": _("{name} has a {key} of the wrong type"),
    "wrong_value": _("{name} has the {key} {value}, which is none of {choices}"),
    "setting_malformed": S(_("{name}: {problem}"), _("{advice}")),
    "malformed": _("{name} is malformed ({reason})"),
    "number_too_large": S(_("{name} has the number {value}, beyond the {most:g} allowed"), UNTRUSTED),
    "not_finite": S(_("{name} is {value} and not a finite number"), _("Get the file again.")),
}
