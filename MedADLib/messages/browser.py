"""Sentences of the package `browser`, by code."""

from . import Sentence as S
from . import mark as _

# Remedies of several sentences.
OTHER_PORT = _("Choose another with --port.")

SENTENCES = {
    # The server.
    "port_out_of_range": S(_("{port} is not a port"), _("Give one from 1024 to 65535 with --port.")),
    "port_in_use": S(_("port {port} is in use"), OTHER_PORT),
    "port_not_permitted": S(_("the system does not permit this user to listen on port {port}"), OTHER_PORT),
    "host_unusable": S(_("{host} cannot be listened on: {reason}"), _("Check --host.")),
    # How many regions the page lists.
    "page_regions": _("{count} regions, {volume} in all"),
    "page_region": _("1 region, {volume} in all"),
    "page_first_regions": _("{count} regions, {volume} in all, the first {most} listed"),
    "page_specks": _("Only specks at this threshold, each too small to be listed"),
    "page_specks_only": _("Only specks in this scan are above the threshold, each too small to be listed"),
    "page_nothing": _("Nothing in this scan is above the threshold"),
    "page_allowed": _("Expected false positives (mL per healthy scan)"),
    "page_allowed_image": _("Expected false positives"),
    "page_peak_at": _("Peak at"),
    "page_peak_at_mm": _("Peak at, mm"),
    "page_no_region": _("No region at this threshold"),
    "page_rejected": _("{count} rejected before"),
    "page_rejected_one": _("1 rejected before"),
}
