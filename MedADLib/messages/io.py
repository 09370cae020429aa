"""Sentences of the package `io` and of `volume`, by code."""

from . import Sentence as S
from . import mark as _

# Remedies of several sentences.
PLAIN_VOLUME = _("Give a single 3-D volume of plain numbers.")
REPAIR_HEADER = _("Repair the image header.")
RESAMPLE = _("Resample it to a regular grid first.")
FOLDER_OF_SLICES = _("Give the folder that directly holds the slices.")
NAME_ONE = _("Name one as {file}#{first}, or any up to {file}#{last}.")
COPY_AGAIN = _("Copy or export the file again.")
ONE_STACK = _("Export the images to examine as a series of their own.")
GIVE_ORIENTATION = _(
    "If you know it, give the directions that its axes run towards, such as --orientation RAS for right, anterior and "
    "superior."
)
USE_ONE = _("Look at the scan in a viewer, and say which one is right: --use sform or --use qform.")
ONE_SERIES = _("Leave only the series to examine in the folder.")

SENTENCES = {
    # Any image file.
    "invalid_file_name": S(_("the name {path} is not valid text"), _("Rename the file.")),
    "unreadable": S(_("{path} cannot be read: {reason}"), _("Check the path and its permissions.")),
    "not_found": S(_("{path} does not exist"), _("Check the path.")),
    "not_a_file": S(_("{path} is not a file"), _("Give an image file or a folder of DICOM slices.")),
    "empty_file": S(_("{path} is empty"), COPY_AGAIN),
    "single_dicom_file": S(_("{path} is a single DICOM file"), _("Give the folder that holds all its slices.")),
    "unknown_volume_type": S(_("{path} is of an unknown type"), _("Supported: {types} and a folder of DICOM slices.")),
    "unknown_image_type": S(
        _("{path} is of an unknown type"),
        _(
            "Supported are {types}, {arrays} (if it holds several images, give FILE{arrays}#NUMBER), a DICOM file of "
            "one or all slices, and a folder of DICOM slices."
        ),
    ),
    "damaged_image": S(_("{path} is damaged or cut short"), COPY_AGAIN),
    "reading_crashes": S(
        _("{path} cannot be read: its reader ended with exit code {exit_code}"),
        _("The file is damaged, or made to do harm. Export it again from its source."),
    ),
    "reading_hangs": S(
        _("{path} cannot be read: its reader did not end within {seconds:.0f} s"),
        _("If the disk is not slow, the file is damaged. Copy it to this computer, or export it again."),
    ),
    "reading_takes_memory": S(
        _("{path} cannot be read: that takes much more memory than a file of its size should"),
        _("The file is damaged, or made to do harm. Export it again from its source."),
    ),
    "wrong_format": S(_("{path} is not a {format} image, although its name ends like that of one"), COPY_AGAIN),
    # Header and grid.
    "incomplete_header": S(_("{path} is cut short: its header is incomplete"), COPY_AGAIN),
    "bad_header_field": S(
        _("{path} has the value {value!a} in the field {field} of its header, which is not valid"), REPAIR_HEADER
    ),
    "header_contradiction": S(
        _("{path} contradicts itself: its header gives {first!a} and {second!a} ({field})"), REPAIR_HEADER
    ),
    "wrong_byte_order": S(
        _("{path} has its voxels in another byte order than its header says"),
        _("Correct the byte order in the header."),
    ),
    "no_byte_order": S(
        _("{path} does not give the byte order of its voxels"),
        _("Add it to the header if you know it: endian: little, or endian: big."),
    ),
    "impossible_size": S(_("{path} has an impossible size ({size}) in its header"), COPY_AGAIN),
    "header_exceeds_file": S(
        _("{path} is cut short: its header gives more voxels ({size}) than the file can hold"), COPY_AGAIN
    ),
    "cut_short": S(_("{path} is cut short: its header gives {expected} bytes of voxels, {present} exist"), COPY_AGAIN),
    "more_data_than_header": S(_("{path} holds far more data than its header gives"), COPY_AGAIN),
    "bad_checksum": S(_("{path} is damaged: the checksum of its compressed data is wrong"), COPY_AGAIN),
    "compressed_data_cut_short": S(_("{path} is cut short: its compressed data end too early"), COPY_AGAIN),
    "several_data_files": S(_("{path} is spread over several data files"), _("Save it as one file.")),
    "data_file_elsewhere": S(
        _("{path} names the data file {file!a}, which is not in the same folder"),
        _("Put both files into one folder, and give the header the bare name."),
    ),
    "missing_data_file": S(_("{path} names the data file {file}, which does not exist"), _("Copy both files.")),
    "unknown_voxel_type": S(_("{path} has voxels of an unknown type"), _("Convert it to float32.")),
    "unknown_encoding": S(
        _("{path} has voxels in the encoding {encoding!a}, which MedAD does not know"), _("Save it uncompressed.")
    ),
    "several_components": S(_("{path} has several numbers in each voxel (colour, vector or complex)"), PLAIN_VOLUME),
    "not_3d": S(_("{name} has {dimensions} dimensions ({size})"), PLAIN_VOLUME),
    "single_line": S(_("{path} has only one line of voxels ({size})"), _("Give the whole image.")),
    "too_many_voxels": S(_("{path} has {voxels} voxels; at most {limit} are supported"), _("Resample or crop it.")),
    "bad_spacing": S(_("{name} has a voxel spacing of {spacing} mm"), REPAIR_HEADER),
    "no_position": S(_("{name} has no usable position in space"), REPAIR_HEADER),
    "not_orthogonal": S(_("{name} has axes that are not at right angles"), RESAMPLE),
    "extent_too_large": S(
        _("{path} is {extent:.4g} mm across, more than {limit:.0f} mm"),
        _("Give its true spacing in mm (--spacing X Y Z), or the unit of its header (--unit um, --unit mm, …)."),
    ),
    "grid_too_large": S(
        _("{name} is {extent:.4g} mm across, too large for a grid of {spacing:g} mm"),
        _("Check its spacing, which must be in mm."),
    ),
    "unknown_unit": S(
        _("{path} gives its lengths in a unit that is not known ({unit!a})"), _("Give it: --unit, one of {known}.")
    ),
    "no_spacing": S(
        _("{path} does not give the spacing of its voxels"),
        _("Give it in mm along the axes of the file: --spacing X Y Z."),
    ),
    "no_orientation": S(
        _("{path} does not say how the patient lies in it, so left and right may be swapped"), GIVE_ORIENTATION
    ),
    "analyze_orientation": S(
        _("{path} is in the format Analyze, which does not store left and right: programs differ in what they assume"),
        GIVE_ORIENTATION,
    ),
    "minc_orientation": S(
        _("{path} is in the format MINC, in which programs differ in the directions of the axes: it may be turned"),
        GIVE_ORIENTATION,
    ),
    "forms_mirrored": S(
        _("the sform and the qform of {path} contradict each other: one has left and right swapped"), USE_ONE
    ),
    "forms_turned": S(
        _("the sform and the qform of {path} contradict each other: one is turned by more than 45 degrees"), USE_ONE
    ),
    "mask_fits_two_ways": S(
        _("the mask {path} fits the scan both as its own header says and as the options say, with other voxels"),
        _("Save it with the orientation that the options give."),
    ),
    "form_missing": S(_("{path} has no {form} that can be used"), _("Leave out --use, or name the other one.")),
    "spacing_conflict": S(
        _("{path} contradicts itself: the spacing is {sform} mm by its sform and {pixdim} mm by its field pixdim"),
        _("Say which one is right: --use sform or --spacing X Y Z."),
    ),
    # Options of reading.
    "bad_orientation_option": S(
        _("the orientation {value} is none"),
        _("Give the directions that the axes x, y and z run towards, three letters such as RAS or LPI."),
    ),
    "bad_spacing_option": S(_("the spacing {value} is none"), _("Give three numbers above 0, in mm.")),
    "bad_unit_option": S(_("the unit {value} is not known"), _("Give one of {known}.")),
    "bad_form_option": S(_("the position {value} is none"), _("Give sform or qform.")),
    "options_for_volumes": S(
        _("{path} is a 2-D image, which has no place for --orientation, --spacing, --unit and --use"),
        _("Leave them out."),
    ),
    "option_not_for_dicom": S(
        _("{path} is a DICOM series, and its headers give the orientation"), _("Leave out --orientation and --use.")
    ),
    "bad_reading_options": S(_("the reading options are not known"), _("Update MedAD.")),
    # Voxels.
    "not_numbers": S(
        _("{path} has {nan} voxels that are not a number and {infinite} that are infinite"),
        _("Replace them, for example by 0 outside the head."),
    ),
    "constant": S(_("{path} has the same value {value:g} everywhere, so there is nothing to examine"), COPY_AGAIN),
    "array_not_on_grid": _("an array of shape {shape} does not fit the grid {grid} of {name}"),
    "not_written": S(
        _("{path} could not be written"), _("Check that the disk is not full and the folder is not write-protected.")
    ),
    # Warnings about an image.
    "odd_extent": _("{path} is {extent:.3g} mm across: check that its unit of length is right"),
    "thick_slices": _("the slices of {path} are {spacing:.3g} mm apart: small findings between them can be missed"),
    "orientation_replaced": _("the header of {path} gives another orientation than {orientation}, which is used"),
    "no_origin": _(
        "{path} does not say where in space it lies, so positions in mm are not comparable with those of other scans; "
        "the scan is aligned to the model by its content"
    ),
    "space_of_itk": _(
        "{path} has four axes and does not name its space, as ITK writes it: the space of ITK is used (LPS)"
    ),
    "surplus_data": _("{path} holds {surplus} bytes of data more than its header gives; they are left out"),
    "nan_is_background": _(
        "{share:.0%} of the voxels of {path} are not a number; they lie around the rest and count as background"
    ),
    "forms_disagree": _(
        "the sform and the qform of {path} place it {distance:.3g} mm apart: the {used} is used, other programs may "
        "use the {other}"
    ),
    # A folder of DICOM files.
    "no_slices": S(_("{folder} holds no DICOM slices"), FOLDER_OF_SLICES),
    "no_readable_slices": S(_("{folder} holds {count} DICOM files, but no readable image slice"), FOLDER_OF_SLICES),
    "single_images": S(_("{folder} holds single images, not a series of slices"), _("Give the folder of all slices.")),
    "several_series": S(_("{folder} holds {count} image series; by number (modality, slices): {series}"), ONE_SERIES),
    "several_patients": S(_("{folder} holds slices of different patients in one series"), ONE_SERIES),
    "several_volumes": S(_("{folder} holds {count} volumes in one series"), ONE_SERIES),
    "several_stacks": S(
        _("{folder} holds {count} stacks of slices in one series, at different angles or beside each other"), ONE_STACK
    ),
    "several_components_of_signal": S(_("{folder} mixes parts of a complex signal: {components}"), ONE_STACK),
    "several_echoes": S(_("{folder} holds several echoes ({least:.3g} to {most:.3g} ms)"), ONE_STACK),
    "several_time_points": S(
        _("{folder} holds {count} time points, or echoes that its header counts as time points"), ONE_STACK
    ),
    "several_diffusion_weightings": S(_("{folder} holds {count} diffusion weightings"), ONE_STACK),
    "several_image_types": S(_("{folder} mixes {count} types of images in one series: {types}"), ONE_STACK),
    "several_values": S(
        _("{folder} mixes slices that differ in the DICOM attribute {attribute} ({count} values)"), ONE_STACK
    ),
    "intensity_tables": S(
        _("{folder} rescales its intensities by tables, which MedAD does not read"), _("Convert it to NIfTI first.")
    ),
    "rescaling_contradicts": S(
        _("{folder} has two maps of its stored values that differ between slices and contradict each other"),
        _("Export the series again, or convert it to NIfTI."),
    ),
    "rescaling_incomplete": S(
        _("{count} slices of {folder} lack the rescaling of intensities that others have"),
        _("Export the series again."),
    ),
    "slice_numbers_contradict": S(
        _("single slices of {folder} have numbers within their stack that contradict their positions"),
        _("Export the series again."),
    ),
    "more_pixels_than_frames": S(
        _("{path} holds the pixels of {held} frames, but its header describes {frames}"), COPY_AGAIN
    ),
    "parts_missing": S(
        _("{folder} has {found} of the {count} files of one multi-frame image"),
        _("Give a folder that holds all of them."),
    ),
    "mosaic": S(_("{folder} holds mosaics, images with all slices side by side"), _("Convert it to NIfTI first.")),
    "impossible_frames": S(_("{path} has an impossible number of frames ({frames}) in its header"), COPY_AGAIN),
    "frames_differ": S(_("{path} has {frames} frames, but its header describes {groups}"), COPY_AGAIN),
    "dicomdir_file_missing": S(
        _("{path} lists the file {file!a:.80}, which does not exist below its folder"),
        _("Copy the whole disc, or give the folder that holds the slices."),
    ),
    "no_slice_position": S(
        _("{folder} has slices without a position in space"),
        _(
            "Export the series again. If all slices are in one file and you know how the patient lies in it, give the "
            "directions and spacing of columns, rows and slices, such as --orientation LPS --spacing 1 1 3."
        ),
    ),
    "slice_sizes_differ": S(_("{folder} has slices of different size (number: size): {sizes}"), ONE_SERIES),
    "slice_grids_differ": S(_("{folder} has slices of different angle or pixel size"), ONE_SERIES),
    "several_at_one_position": S(_("{folder} has several images at one position (time points or echoes)"), ONE_SERIES),
    "missing_slices": S(
        _("{folder} lacks {count} slices; after slice (number missing): {gaps}"), _("Export the whole series.")
    ),
    "uneven_slices": S(_("{folder} has unevenly spaced slices ({least:.3g} to {most:.3g} mm)"), RESAMPLE),
    "tilted_gantry": S(_("{folder} was scanned with a tilted gantry"), RESAMPLE),
    "dicom_not_decoded": S(_("{folder} has slices that cannot be decoded"), _("Export it again, uncompressed.")),
    "dicom_others_left_out": _(
        "DICOM files in {folder} that are not image slices (localizer, segmentation, report) are left out: {count}"
    ),
    "dicom_copies_left_out": _("DICOM slices in {folder} that are copies of others are left out: {count}"),
    "dicom_singles_left_out": _("series of a single image in {folder} are left out: {count}"),
    "slice_order_contradicts": _(
        "the numbers of the slices of {folder} contradict their positions: the positions are used"
    ),
    "tilt_not_in_positions": _(
        "the header of {folder} states a gantry tilt of {degrees:.3g}°, but the positions of its slices do not show it"
    ),
    "slice_distance_contradicts": _(
        "the slices of {folder} lie {distance:.3g} mm apart by their positions, but {stated:.3g} mm by the spacing in "
        "the header: the positions are used"
    ),
    "slices_far_apart": _(
        "the slices of {folder} are {thickness:.3g} mm thick and lie {distance:.3g} mm apart: slices are missing, or "
        "the scan left gaps"
    ),
    "image_numbers_incomplete": _(
        "the {count} images of {folder} have the numbers {first} to {last}: up to {missing} slices may be missing"
    ),
    "fewer_images_than_stated": _("{folder} has {count} images of an acquisition of {stated}: slices may be missing"),
    # 2-D images.
    "not_decoded": S(_("{path} cannot be decoded"), COPY_AGAIN),
    "too_many_pixels": S(_("{path} has more than {limit} pixels"), _("Shrink it first.")),
    "several_images": S(
        _("{path} holds {count} images"), _("Give single images, or each volume as a folder or file of its own.")
    ),
    "not_an_image_stack": S(
        _("{path}: {array} of {size} is not a stack of images"), _("Give arrays (N, rows, columns).")
    ),
    "no_other_label": S(_("{path} holds no images with another label than {label}"), _("Check --healthy-label.")),
    "no_image_arrays": S(_("{path} holds no images"), _("Give number arrays (rows, columns) or (N, rows, columns).")),
    "no_labels": S(_("{path} has no labels for {array}"), _("Leave out --healthy-label.")),
    "several_labels": S(
        _("{path} has images of several labels ({labels})"), _("Name the label of healthy images: --healthy-label.")
    ),
    "arrays_too_large": S(_("{path} holds more than {limit} GB"), _("Split it into several files.")),
    "bad_npz": S(_("{path} is not a valid NPZ file"), _("Write arrays of numbers with numpy.savez.")),
    "pixels_not_numbers": S(_("{path} has pixels that are not plain numbers"), COPY_AGAIN),
    "odd_components": S(_("{path} has {count} numbers in each pixel"), _("Give grey or colour images.")),
    "image_not_named": S(_("{path} holds {count} images"), NAME_ONE),
    "no_such_image": S(_("{path} holds no image {image!a:.80}"), NAME_ONE),
}
