"""Sentences of the package `results`, by code."""

from . import Sentence as S
from . import mark as _

# Remedies of several sentences.
FREE_SPACE = _("Free some space or choose another folder.")
OUTDIR = _("Give the OUTDIR of medad detect.")
SCAN_FILE = _("Say where it is with --scan FILE.")
RUN_AGAIN = _("Run the detection again.")
DETECT_AGAIN = _("Run medad detect again.")

SENTENCES = {
    # Exchange between processes.
    "exchange_unreadable": S(_("{path} cannot be read: {reason}"), _("Try again.")),
    "exchange_damaged": S(_("{path} is damaged or cut short ({detail})"), _("Write it again.")),
    "exchange_not_finite": S(_("{name} holds values that are not finite (NaN or infinite)"), _("Replace them.")),
    "exchange_unwritable": S(_("{name} could not be written to {path}: {reason}"), FREE_SPACE),
    "exchange_result_unwritable": S(_("the result for {name} could not be written to {folder}: {reason}"), FREE_SPACE),
    "exchange_folder_not_empty": S(_("{folder} is not empty"), _("Give the result a folder of its own.")),
    "exchange_folder_unusable": S(_("{folder} cannot be used: {reason}"), _("Choose another folder.")),
    "exchange_unusable": S(_("the result in {folder} cannot be used: {reason}"), RUN_AGAIN),
    "exchange_format": S(_("the result in {folder} has the format {found} instead of {expected}"), RUN_AGAIN),
    "exchange_type": S(_("{path} holds voxels of the type {type}"), RUN_AGAIN),
    "exchange_not_on_grid": S(_("{path} is not on the grid of {scan}"), RUN_AGAIN),
    "exchange_ranks": S(_("the regions of the result in {folder} are not numbered by rank"), RUN_AGAIN),
    "exchange_labels": S(_("the regions of the result in {folder} do not match its labels"), RUN_AGAIN),
    "record_counts": _("the record names {count} healthy scans, but its reference holds {found}"),
    # Files of a result.
    "not_our_file": S(_("{path} would be replaced, but is not a result of MedAD"), _("Choose another output folder.")),
    "folder_of_another_scan": S(
        _("{folder} holds the result of another scan named {name}"),
        _("Choose another folder, or give the scan another name."),
    ),
    "result_memory": S(_("too little memory to write the results of {name}"), _("Close other programs.")),
    "result_unwritable": S(
        _("the results of {name} could not be written to {folder}: {reason}"),
        _("Free some space or choose another output folder."),
    ),
    "result_folder_missing": S(_("there is no folder {folder}"), OUTDIR),
    "no_results": S(_("{folder} holds no result of MedAD"), OUTDIR),
    "result_of_other_scan": S(
        _("{path} is not the scan that was examined for {results}: its content differs"),
        _("Give that scan with --scan FILE, or run medad detect again."),
    ),
    "result_incomplete": S(_("{path} lacks {key}; an older version of MedAD wrote it"), DETECT_AGAIN),
    "result_damaged": S(_("{path} is damaged: {detail}"), DETECT_AGAIN),
    "result_map_not_on_grid": S(_("{path} is not on the grid of its scan"), DETECT_AGAIN),
    "result_scan_moved": S(_("the scan of {result} is not at {path} any more"), SCAN_FILE),
    "result_scan_missing": S(_("{path} does not record the path of its scan, and no scan lies beside it"), SCAN_FILE),
    "result_scan_not_recorded": S(_("{path} does not record which scan was examined"), DETECT_AGAIN),
    # The result as a whole.
    "verdict": _(
        "score {score:.4g} ({name}), p = {p:.2g} (against {count} healthy scans; the smallest possible p is "
        "{smallest:.2g})"
    ),
    "verdict_against_one": _(
        "score {score:.4g} ({name}), p = {p:.2g} (against one healthy scan; the smallest possible p is {smallest:.2g})"
    ),
    "score_method": _("anomaly score of the method"),
    "score_top_1ml": _("mean rarity of the most anomalous 1 mL"),
    "score_top_1pct": _("mean rarity of the most anomalous 1 %"),
    "score_top_pixels": _("mean rarity of the 1000 most anomalous pixels on the grid of the model"),
    "score_area": _("area above the default threshold, in thousands of pixels on the grid of the model"),
    "score_volume": _("volume above the default threshold in mL"),
    "score_largest": _("rarity above the default threshold, summed over the largest region"),
    "score_regions": _("number of small regions"),
    "score_rank": _("mean rank of several scores among the healthy scans"),
    "scan_score": _("Scan score {score}: {name}"),
    "scan_p": _("p = {p:.2g} against {count} healthy scans; the smallest possible p is {smallest:.2g}"),
    "scan_p_smallest": _("p = {p:.2g}, the smallest possible against {count} healthy scans"),
    "scan_p_one": _("p = {p:.2g} against one healthy scan; the smallest possible p is 0.5"),
    "scans_needed": _("p = {p:.2g} needs {needed} healthy scans or more"),
    "strip_own": _("{mark} this scan: {score}"),
    "strip_healthy": _("○ {count} healthy scans"),
    "strip_healthy_one": _("○ 1 healthy scan"),
    "strip_text": _(
        "This scan scores {score}, higher than {below} of {count} healthy scans; they score {low} to {high}, "
        "median {median}"
    ),
    "more_anomalous_than": _("More anomalous than {below} of {count} healthy scans"),
    "more_anomalous_than_one": _("More anomalous than 1 of 1 healthy scan"),
    "no_more_anomalous_than": _("No more anomalous than any of {count} healthy scans"),
    "no_more_anomalous_than_one": _("No more anomalous than the one healthy scan"),
    # Its regions.
    "regions_found": _("{count} regions"),
    "region_found": _("1 region"),
    "regions_kept": _("{kept} of {count} regions kept"),
    "region_kept": _("{kept} of 1 region kept"),
    "smaller_only": _("only regions smaller than {volume}"),
    "smaller_one": _("1 region is smaller than {volume}"),
    "smaller_many": _("{count} regions are smaller than {volume}"),
    "specks_counted": _(
        "only specks above {threshold}, each smaller than {smallest} ({meaning}; expected false positives: {expected})"
    ),
    "false_positives_ml": _("{ml:.2g} mL per healthy scan"),
    "false_positives_share": _("{share:.2g} % of a healthy image"),
    "pixels": _("{count} pixels"),
    "pixel_one": _("1 pixel"),
    "pixels_of_image": _("{pixels} ({share:.2g} % of the image)"),
    "square_mm": _("{area} mm² ({share:.2g} % of the image)"),
    "column_row": _("column {column}, row {row}"),
    "column_row_short": _("col {column}, row {row}"),
    "specks_only": _("only specks above {threshold}, each too small to be listed"),
    "no_region": _("no region above {threshold}, the largest value is {largest:.3g}"),
    "regions_counted": _(
        "{count} regions, {volume} in all, above {threshold} ({meaning}; expected false positives: {expected})"
    ),
    "region_counted": _(
        "1 region, {volume} in all, above {threshold} ({meaning}; expected false positives: {expected})"
    ),
    "no_region_counted": _("no region above {threshold} ({meaning}; expected false positives: {expected})"),
    "region_line": _("{rank}. {volume}, peak {peak}, p = {p:.2g}, q = {q:.2g}, {location}"),
    # The unit of its map: rarity, or z-scores in results of earlier versions.
    "rarity": _("rarity {value:.3g}"),
    "a_rarity": _("a rarity of {value:.3g}"),
    "one_voxel_in": _("1 healthy voxel in {count}"),
    "rarer_than": _("less than 1 healthy voxel in {count}"),
    "above_healthy": _("above all voxels of the healthy scans"),
    "rarity_title": _("Rarity"),
    "rarity_note": _("3 = 1 healthy voxel in 1,000"),
    "legend_top": _("top: {top:.3g} or more"),
    "rarity_explained": _(
        "Rarity is −log10 of the share of healthy voxels that reach the value: 3 = 1 healthy voxel in 1,000, 4 = 1 in "
        "10,000. Above the largest value of the healthy scans it only ranks voxels"
    ),
    "z_score": _("z-score {value:.3g}"),
    "a_z_score": _("a z-score of {value:.3g}"),
    "z_score_title": _("z-score"),
    "peak_title": _("Peak"),
    "z_score_meaning": _("SD above the healthy mean"),
    "z_score_explained": _("z-score: SD above the healthy mean"),
    "peak_at": _("peak at {place}"),
    "peak_at_right": _("R, peak at {place}"),
    "peak_at_left": _("L, peak at {place}"),
    "peak_at_bilateral": _("bilateral, peak at {place}"),
    "mm_left": _("{mm:.0f} mm left"),
    "mm_right": _("{mm:.0f} mm right"),
    "mm_posterior": _("{mm:.0f} mm posterior"),
    "mm_anterior": _("{mm:.0f} mm anterior"),
    "mm_inferior": _("{mm:.0f} mm inferior"),
    "mm_superior": _("{mm:.0f} mm superior"),
    # How it was made.
    "fact_result": _("result"),
    "fact_verdict": _("scan as a whole"),
    "fact_healthy_scans": _("among the healthy scans"),
    "fact_regions": _("regions"),
    "fact_unit": _("unit of the map"),
    "fact_model": _("model"),
    "fact_method": _("method"),
    "fact_seed": _("random seed"),
    "fact_settings": _("settings"),
    "fact_device": _("device"),
    "fact_examined_part": _("examined part"),
    "fact_input": _("input"),
    "fact_similarity": _("similarity to the training data"),
    "fact_restoration": _("restoration"),
    "fact_brought_down": _("brought down to the level of healthy scans by, in healthy SD at each scale"),
    "fact_found_by": _("largest rarity of each member of the ensemble, by region"),
    "fact_versions": _("versions"),
    "fact_smallest_region": _("smallest region listed (mL)"),
    "fact_smallest_region_px": _("smallest region listed (pixels)"),
    "fact_has_spacing": _("pixel spacing in the file"),
    "fact_has_orientation": _("orientation in the file"),
    "fact_fast": _("fast mode"),
    "fact_overlap": _("overlap with the template"),
    "fact_histogram": _("distance of the histograms"),
    "fact_codes_resampled_slice": _("codes resampled per slice"),
    "fact_codes_resampled_volume": _("codes resampled per volume"),
    "fact_codes_changed_slice": _("codes changed per slice"),
    "fact_codes_changed_volume": _("codes changed per volume"),
    "fact_restorations": _("number of restorations"),
    "fact_distinct_restorations_slice": _("distinct restorations per slice"),
    "fact_distinct_restorations_volume": _("distinct restorations per volume"),
    "fact_seconds": _("time: {seconds:.1f} s"),
    "part_reading": _("reading"),
    "part_model": _("loading the model"),
    "part_brain_mask": _("brain mask"),
    "part_field": _("field of view"),
    "part_preparation": _("preparation"),
    "part_restoration": _("restoration"),
    "part_map": _("anomaly map"),
    "part_regions": _("regions"),
    "part_registration": _("registration"),
    "part_resampling": _("resampling of the scan"),
    "part_bias_field": _("bias field"),
    "part_encoding": _("encoding"),
    "part_likelihood": _("likelihood of codes"),
    "part_sampling": _("resampling of codes"),
    "part_decoding": _("decoding"),
    "part_to_scan": _("mapping to the scan"),
    "part_import": _("loading of packages"),
    "part_figure": _("figure"),
    "part_writing": _("writing"),
    "fact_warnings": _("warnings"),
    "fact_no_warnings": _("warnings: none"),
    "fact_none": _("none"),
    "fact_yes": _("yes"),
    "fact_no": _("no"),
    "fact_unknown": _("not known"),
}
