"""Sentences of the package `results`, by code."""

from __future__ import annotations

from . import Sentence
from . import mark as _

# Remedies of several sentences.
RUN_AGAIN = _("Run the detection again.")
DETECT_AGAIN = _("Run medad detect again.")

SENTENCES: dict[str, Sentence] = {
    # Exchange between processes.
    "exchange_unreadable": Sentence(_("{path} cannot be read: {reason}"), _("Try again.")),
    "exchange_damaged": Sentence(_("{path} is damaged or cut short ({detail})"), _("Write it again.")),
    "exchange_not_finite": Sentence(
        _("{name} holds values that are not finite numbers (NaN or infinite)"), _("Replace them by finite values.")
    ),
    "exchange_unwritable": Sentence(
        _("{name} could not be written to {path}: {reason}"), _("Free some space or choose another folder.")
    ),
    "exchange_result_unwritable": Sentence(
        _("the result for {name} could not be written to {folder}: {reason}"),
        _("Free some space or choose another folder."),
    ),
    "exchange_folder_not_empty": Sentence(_("{folder} is not empty"), _("Give the result a folder of its own.")),
    "exchange_folder_unusable": Sentence(_("{folder} cannot be used: {reason}"), _("Choose another folder.")),
    "exchange_unusable": Sentence(_("the result in {folder} cannot be used: {reason}"), RUN_AGAIN),
    "exchange_format": Sentence(_("the result in {folder} has the format {found} instead of {expected}"), RUN_AGAIN),
    "exchange_type": Sentence(_("{path} holds voxels of the type {type}"), RUN_AGAIN),
    "exchange_not_on_grid": Sentence(_("{path} is not on the grid of {scan}"), RUN_AGAIN),
    "exchange_ranks": Sentence(_("the regions of the result in {folder} are not numbered by rank"), RUN_AGAIN),
    "exchange_labels": Sentence(_("the regions of the result in {folder} do not match its labels"), RUN_AGAIN),
    "record_counts": Sentence(_("the record names {count} healthy scans, but its reference holds {found}")),
    # Files of a result.
    "not_our_file": Sentence(
        _("{path} would be replaced, but is not a result of MedAD"), _("Choose another output folder.")
    ),
    "result_memory": Sentence(_("too little memory to write the results of {name}"), _("Close other programs.")),
    "result_unwritable": Sentence(
        _("the results of {name} could not be written to {folder}: {reason}"),
        _("Free some space or choose another output folder."),
    ),
    "result_folder_missing": Sentence(_("there is no folder {folder}"), _("Give the OUTDIR of medad detect.")),
    "no_results": Sentence(_("{folder} holds no result of MedAD"), _("Give the OUTDIR of medad detect.")),
    "result_of_other_scan": Sentence(
        _("{path} is not the scan that was examined for {results}: its content differs"),
        _("Give that scan with --scan FILE, or run medad detect again."),
    ),
    "result_incomplete": Sentence(_("{path} lacks {key}; an older version of MedAD wrote it"), DETECT_AGAIN),
    "result_damaged": Sentence(_("{path} is damaged: {detail}"), DETECT_AGAIN),
    "result_map_not_on_grid": Sentence(_("{path} is not on the grid of its scan"), DETECT_AGAIN),
    "result_scan_moved": Sentence(
        _("the scan of {result} is not at {path} any more"), _("Say where it is with --scan FILE.")
    ),
    "result_scan_missing": Sentence(
        _("{path} does not record the path of its scan, and no scan lies beside it"),
        _("Say where it is with --scan FILE."),
    ),
    "result_scan_not_recorded": Sentence(_("{path} does not record which scan was examined"), DETECT_AGAIN),
    # The result as a whole.
    "verdict": Sentence(
        _("score {score:.4g}, p = {p:.2g} (against {count} healthy scans; the smallest possible p is {smallest:.2g})")
    ),
    "verdict_against_one": Sentence(
        _("score {score:.4g}, p = {p:.2g} (against one healthy scan; the smallest possible p is {smallest:.2g})")
    ),
    "more_anomalous_than": Sentence(_("More anomalous than {below} of {count} healthy scans")),
    "more_anomalous_than_one": Sentence(_("More anomalous than 1 of 1 healthy scan")),
    "no_more_anomalous_than": Sentence(_("No more anomalous than any of {count} healthy scans")),
    "no_more_anomalous_than_one": Sentence(_("No more anomalous than the one healthy scan")),
    "smallest_p": Sentence(_("smallest possible p is {p:.2g}")),
    # Its regions.
    "regions_found": Sentence(_("{count} regions")),
    "region_found": Sentence(_("1 region")),
    "regions_kept": Sentence(_("{kept} of {count} regions kept")),
    "region_kept": Sentence(_("{kept} of 1 region kept")),
    "smaller_only": Sentence(_("only regions smaller than {volume}")),
    "smaller_one": Sentence(_("1 region is smaller than {volume}")),
    "smaller_many": Sentence(_("{count} regions are smaller than {volume}")),
    "specks_only": Sentence(_("only specks above a z-score of {threshold:.3g}, each too small to be listed")),
    "no_region": Sentence(_("no region above a z-score of {threshold:.3g}, the largest z-score is {largest:.3g}")),
    "regions_counted": Sentence(
        _(
            "{count} regions, {volume} in all, above a z-score of {threshold:.3g} (SD above the healthy mean; "
            "expected false positives: {ml:.2g} mL per healthy scan)"
        )
    ),
    "region_counted": Sentence(
        _(
            "1 region, {volume} in all, above a z-score of {threshold:.3g} (SD above the healthy mean; "
            "expected false positives: {ml:.2g} mL per healthy scan)"
        )
    ),
    "no_region_counted": Sentence(
        _(
            "no region above a z-score of {threshold:.3g} (SD above the healthy mean; "
            "expected false positives: {ml:.2g} mL per healthy scan)"
        )
    ),
    "region_line": Sentence(_("{rank}. {volume}, peak z-score {peak:.3g}, p = {p:.2g}, q = {q:.2g}, {location}")),
    "peak_at": Sentence(_("peak at {place}")),
    "peak_at_right": Sentence(_("R, peak at {place}")),
    "peak_at_left": Sentence(_("L, peak at {place}")),
    "peak_at_bilateral": Sentence(_("bilateral, peak at {place}")),
    "mm_left": Sentence(_("{mm:.0f} mm left")),
    "mm_right": Sentence(_("{mm:.0f} mm right")),
    "mm_posterior": Sentence(_("{mm:.0f} mm posterior")),
    "mm_anterior": Sentence(_("{mm:.0f} mm anterior")),
    "mm_inferior": Sentence(_("{mm:.0f} mm inferior")),
    "mm_superior": Sentence(_("{mm:.0f} mm superior")),
    # How it was made.
    "fact_result": Sentence(_("result")),
    "fact_verdict": Sentence(_("scan as a whole")),
    "fact_regions": Sentence(_("regions")),
    "fact_model": Sentence(_("model")),
    "fact_method": Sentence(_("method")),
    "fact_seed": Sentence(_("random seed")),
    "fact_settings": Sentence(_("settings")),
    "fact_device": Sentence(_("device")),
    "fact_examined_part": Sentence(_("examined part")),
    "fact_input": Sentence(_("input")),
    "fact_similarity": Sentence(_("similarity to the training data")),
    "fact_restoration": Sentence(_("restoration")),
    "fact_versions": Sentence(_("versions")),
    "fact_smallest_region": Sentence(_("smallest region listed (mL)")),
    "fact_fast": Sentence(_("fast mode")),
    "fact_overlap": Sentence(_("overlap with the template")),
    "fact_histogram": Sentence(_("distance of the histograms")),
    "fact_codes_resampled_slice": Sentence(_("codes resampled per slice")),
    "fact_codes_resampled_volume": Sentence(_("codes resampled per volume")),
    "fact_codes_changed_slice": Sentence(_("codes changed per slice")),
    "fact_codes_changed_volume": Sentence(_("codes changed per volume")),
    "fact_restorations": Sentence(_("number of restorations")),
    "fact_distinct_restorations_slice": Sentence(_("distinct restorations per slice")),
    "fact_distinct_restorations_volume": Sentence(_("distinct restorations per volume")),
    "fact_seconds": Sentence(_("time: {seconds:.1f} s")),
    "part_reading": Sentence(_("reading")),
    "part_model": Sentence(_("loading the model")),
    "part_brain_mask": Sentence(_("brain mask")),
    "part_field": Sentence(_("field of view")),
    "part_preparation": Sentence(_("preparation")),
    "part_restoration": Sentence(_("restoration")),
    "part_map": Sentence(_("anomaly map")),
    "part_regions": Sentence(_("regions")),
    "part_registration": Sentence(_("registration")),
    "part_resampling": Sentence(_("resampling of the scan")),
    "part_bias_field": Sentence(_("bias field")),
    "part_encoding": Sentence(_("encoding")),
    "part_likelihood": Sentence(_("likelihood of codes")),
    "part_sampling": Sentence(_("resampling of codes")),
    "part_decoding": Sentence(_("decoding")),
    "part_to_scan": Sentence(_("mapping to the scan")),
    "part_import": Sentence(_("loading of packages")),
    "part_figure": Sentence(_("figure")),
    "part_writing": Sentence(_("writing")),
    "fact_warnings": Sentence(_("warnings")),
    "fact_no_warnings": Sentence(_("warnings: none")),
    "fact_none": Sentence(_("none")),
    "fact_yes": Sentence(_("yes")),
    "fact_no": Sentence(_("no")),
    "fact_unknown": Sentence(_("not known")),
}
