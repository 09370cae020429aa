"""Sentences of the package `slicer`, by code."""

from . import Sentence as S
from . import mark as _

# Remedies of several sentences.
GIVE_NODE = _("Give a node, such as slicer.util.getNode('MRHead').")
RESTART = _("Restart Slicer and run again. The log has the details.")
FIRST_OF_ALL = _("Restart Slicer, and run MedAD before any other module.")
OWN_SLICER = _("Install Slicer into a folder of your own, or start it once with the rights of an administrator.")
RUN_AGAIN = _("Run the detection again.")

SENTENCES = {
    # What a scan, a mask and the settings of a run must be.
    "no_volume": S(_("no volume is selected"), _("Select the volume to examine.")),
    "not_scalar_volume": S(_("{name} is not a scalar volume"), GIVE_NODE),
    "volume_without_image": S(_("{name} has no image"), _("Load the volume again or select another one.")),
    "volume_with_components": S(
        _("{name} has {count} values per voxel"),
        _("Select a scalar volume; colour and vector images cannot be examined."),
    ),
    "volume_not_finite": S(_("{name} has values that are not finite (NaN or infinite)"), _("Replace them.")),
    "volume_constant": S(_("{name} cannot be examined: all its values are {value:g}"), _("Choose another scan.")),
    "volume_too_large": S(
        _("{name} is {extent:.4g} mm across, more than {limit:.0f} mm"),
        _("Correct its spacing, which must be in mm, in the module Volumes."),
    ),
    "volume_without_scene": S(_("{name} is not in a scene"), _("Add it to the scene first.")),
    "mask_node_kind": S(_("the mask {name} is neither a segmentation nor a label map"), GIVE_NODE),
    "mask_node_transform": S(
        _("the mask {name} is under another transform than {scan}"), _("Put both under the same transform.")
    ),
    "mask_node_grid": S(_("the mask {name} is not on the grid of {scan}"), _("Use a segmentation instead.")),
    "mask_node_empty": S(_("the brain mask {name} marks nothing in {scan}"), _("Choose another mask, or none.")),
    "mask_node_gone": S(_("the brain mask of this result is no longer in the scene"), _("Choose one and run again.")),
    # How a run and its worker process can end.
    "scan_not_handed_over": S(
        _("the scan could not be handed to the computation ({reason})"), _("Free some disk space.")
    ),
    "scan_removed": _("the scan was removed from the scene, so the run was stopped"),
    "scan_changed": S(
        _("the scan's voxels changed while it was examined"), _("Run again to examine them as they are now.")
    ),
    "run_result_unreadable": S(_("the result could not be read ({reason})"), _("Run again.")),
    "run_result_not_shown": S(_("the result could not be shown ({error})"), _("Slicer's Python console has details.")),
    "progress_frame": _("frame {number} of {count}: {step}"),
    "run_failed": _("the detection failed: {message}"),
    "worker_hung": S(
        _("the computation has not moved for {seconds:.0f} s and was ended"),
        _("Run again; if it happens again, choose the CPU as the device. The log has the details."),
    ),
    "worker_died": S(
        _("the computation ended unexpectedly (code {exit_code}), probably because the computer has too little memory"),
        _("Close other programs and run again, or examine a smaller scan. The log has the details."),
    ),
    "worker_not_started": S(_("the computing process could not be started ({reason})"), _("Install MedAD again.")),
    "worker_not_ready": S(_("the computing process ended with code {exit_code} before it was ready: {line}"), RESTART),
    "worker_not_ready_silent": S(
        _("the computing process ended with code {exit_code} before it was ready, without a message"), RESTART
    ),
    "python_slicer_missing": S(_("PythonSlicer is missing in {folder}"), _("Install Slicer again.")),
    # The check of the chosen scan, and its judgement before a run.
    "scan_spacing_assumed": _(
        "its DICOM header gives no pixel spacing, and Slicer assumes 1 mm; set it in the module Volumes"
    ),
    "chosen_scan_unfit": S(
        _("this scan does not fit {model}: {reason}"),
        _("{models}. {anyway}."),
    ),
    "chosen_scan_seems": S(
        _("this scan does not fit {model}: it seems to be {kind}"),
        _("{models}. {anyway}."),
    ),
    "anyway_helps": _("Examine Anyway gives a result that is marked as NOT INTERPRETABLE"),
    "anyway_helps_not": _("It cannot be examined, because it cannot be aligned to the template"),
    # What a result in the scene can lack.
    "scan_gone": S(_("{name} is no longer in the scene"), _("Load it again and run the detection again.")),
    "scan_moved": S(_("{name} was moved or cropped after it was examined"), RUN_AGAIN),
    "scan_replaced": S(_("{name} holds other voxels than those that were examined"), RUN_AGAIN),
    "result_node_gone": S(_("the {role} of a result of MedAD is no longer in the scene"), RUN_AGAIN),
    "result_parts_deleted": S(_("parts of the result were deleted"), RUN_AGAIN),
    "result_changed": S(_("the result has changed"), _("Select the scan again to see its present result.")),
    "result_edited": S(_("the anomaly map or the region labels of {name} were edited"), RUN_AGAIN),
    "result_off_grid": S(_("{name} does not lie on {scan}: one of them was moved or cropped"), RUN_AGAIN),
    "result_record_damaged": S(_("the record of the result in {name} is damaged ({reason})"), RUN_AGAIN),
    "frame_gone": S(_("frame {number} of {name} is no longer there"), _("Run again on the frames that are left.")),
    "frame_moved": S(_("frame {number} of {name} was moved or cropped after it was examined"), RUN_AGAIN),
    "frames_changed": S(_("{examined} frames of {name} were examined, but it has {count}"), RUN_AGAIN),
    "sequence_gone": S(_("the sequence that was examined is no longer in the scene"), RUN_AGAIN),
    "nothing_to_undo": S(_("there is no run on this scan to undo"), _("Delete the result's nodes instead.")),
    "no_such_view": S(_("a result has no {what}"), _("Choose one of {choices}.")),
    "no_region_kept": S(_("no region is accepted"), _("Tick at least one region first.")),
    "scene_unreadable": S(_("{path} could not be opened as a scene"), _("Give a .mrb file saved by Slicer or MedAD.")),
    # The question before an installation.
    "plan_packages": _("MedAD needs these packages, which are not in Slicer yet:"),
    "plan_packages_damaged": _("MedAD needs these packages, which are not in Slicer yet or are damaged:"),
    "plan_damage": S(_("The {name} that is there cannot be used ({damage})"), _("It is deleted and installed again.")),
    "plan_total": S(
        _("Together about {total} on disk"),
        _(
            "They are downloaded and installed into Slicer's own Python; this takes some minutes, and Slicer may have "
            "to restart once. Other packages of Slicer stay as they are."
        ),
    ),
    "plan_privacy": _("Scans and results stay on this computer; nothing is uploaded"),
    "purpose_extension": _("picks the build of PyTorch that fits this computer"),
    "purpose_torch": _("runs the neural networks of the models"),
    "purpose_safetensors": _("reads model files safely"),
    "purpose_monai": _("losses of trainings, overlap measures"),
    "purpose_deepbet": _("extracts the brain from scans that show the skull"),
    "package_without_metadata": _("its metadata is missing"),
    "package_without_record": _("the list of its files is missing"),
    "package_file_missing": _("{file} is missing"),
    "package_file_incomplete": _("{file} is incomplete"),
    "package_not_loadable": _("loading it fails: {reason}"),
    # Why an installation failed.
    "packages_missing": S(_("{packages} must be installed first"), _("Click Run Detection in the panel and agree.")),
    "install_in_tests": S(_("nothing is installed while Slicer runs tests"), _("Install the packages beforehand.")),
    "install_running": S(_("an installation is already running"), _("Wait until it is done.")),
    "install_no_extension": S(
        _("MedAD needs the PyTorch extension"),
        _("Install the extension PyTorch with Slicer's Extension Manager, restart Slicer and run again."),
    ),
    "install_extension_failed": S(
        _("the PyTorch extension could not be installed"),
        _(
            "Is there an internet connection? Install the extension PyTorch with Slicer's Extension Manager, restart "
            "Slicer and run again."
        ),
    ),
    "install_declined": S(_("PyTorch was not installed"), _("Run again and agree to it.")),
    "install_no_torch_for_mac": S(
        _(
            "MedAD cannot run in this Slicer for Intel Macs: the last PyTorch for them, 2.2, cannot work with the "
            "numpy {numpy} that Slicer has"
        ),
        _(
            "Install PyTorch in the module PyTorch Utils (extension PyTorch), which also puts numpy 1 in place of "
            "Slicer's; then restart Slicer and run again. Or use another computer."
        ),
    ),
    "install_changed_slicer": S(
        _("the installation changed packages of Slicer's own: {changes}"),
        _("Quit Slicer and run: PythonSlicer -m pip install --no-deps {repair}"),
    ),
    "install_without_effect": S(
        _("pip reported no error, but {packages} is still missing"), _("Restart Slicer and run again.")
    ),
    "install_torch_not_loadable": S(
        _("PyTorch is installed but cannot be loaded: {reason}"),
        _("Restart Slicer and run again. If that does not help, update Slicer and the PyTorch extension."),
    ),
    "install_damaged_in_use": S(_("the damaged {name} could not be deleted: its files are in use"), FIRST_OF_ALL),
    "install_damaged_not_deleted": S(_("the damaged {name} could not be deleted: {reason}"), OWN_SLICER),
    "install_disk_full": S(
        _("{packages} could not be installed: the disk is full"),
        _("Free some space on the disk that has Slicer and on that of temporary files, then run again."),
    ),
    "install_certificate": S(
        _(
            "{packages} could not be installed: the package server's certificate was not accepted, as happens behind "
            "a firewall that reads the traffic"
        ),
        _(
            "Ask your IT for the certificate or proxy to set (PIP_CERT, HTTPS_PROXY). Or install offline. On a "
            "computer with internet and the same system and Python version, run 'pip download --no-deps' for each "
            "package into a folder; bring the folder here and run 'PythonSlicer -m pip install --no-index --no-deps "
            "--find-links FOLDER' with the packages."
        ),
    ),
    "install_proxy": S(
        _("{packages} could not be installed: the proxy server did not let the download through"),
        _(
            "Set HTTPS_PROXY as your IT recommends and start Slicer again. Or install offline. On a computer with "
            "internet and the same system and Python version, run 'pip download --no-deps' for each package into a "
            "folder; bring the folder here and run 'PythonSlicer -m pip install --no-index --no-deps --find-links "
            "FOLDER' with the packages."
        ),
    ),
    "install_no_connection": S(
        _("{packages} could not be installed: there is no connection to the package server"),
        _(
            "Connect to the internet and run again. Or install offline. On a computer with internet and the same "
            "system and Python version, run 'pip download --no-deps' for each package into a folder; bring the folder "
            "here and run 'PythonSlicer -m pip install --no-index --no-deps --find-links FOLDER' with the packages."
        ),
    ),
    "install_files_in_use": S(_("{packages} could not be installed: files of a package are in use"), FIRST_OF_ALL),
    "install_path_too_long": S(
        _("{packages} could not be installed: the path of a file is too long for Windows"),
        _("Enable long paths in Windows, or install Slicer into a folder with a short path."),
    ),
    "install_folder_protected": S(_("{packages} could not be installed: Slicer's folder is protected"), OWN_SLICER),
    "install_remains": S(
        _(
            "{packages} could not be installed: an earlier installation of a package was interrupted, and pip cannot "
            "replace what is left of it"
        ),
        _("Delete the folders of the package that the log names from Slicer's site-packages, or install Slicer again."),
    ),
    "install_light_the_torch": S(
        _(
            "{packages} could not be installed: the PyTorch extension's installer (light-the-torch) does not work with "
            "this Slicer's pip"
        ),
        _(
            "Update the PyTorch extension in the Extension Manager. If it is up to date, install PyTorch in Slicer's "
            "Python console by slicer.util.pip_install('torch>=2.3'), then run again."
        ),
    ),
    "install_conflict": S(
        _("{packages} could not be installed: the packages do not fit what Slicer has"),
        _("Update Slicer and MedAD. If other extensions brought packages of their own, try in a fresh Slicer."),
    ),
    "install_no_build": S(
        _("{packages} could not be installed: no build of a package fits this computer and Slicer's Python"),
        _(
            "Is there an internet connection? If so, update Slicer and MedAD. Without one, on a computer with internet "
            "and the same system and Python version, run 'pip download --no-deps' for each package into a folder; "
            "bring the folder here and run 'PythonSlicer -m pip install --no-index --no-deps --find-links FOLDER' "
            "with the packages."
        ),
    ),
    "install_damaged_download": S(_("{packages} could not be installed: a download was damaged"), _("Run again.")),
    "install_failed": S(
        _("{packages} could not be installed: pip failed"),
        _("Read the log for its messages. Restart Slicer and run again."),
    ),
}
