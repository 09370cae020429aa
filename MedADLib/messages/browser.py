"""Sentences of the package `browser`, by code."""

from __future__ import annotations

from . import Sentence
from . import mark as _

SENTENCES: dict[str, Sentence] = {
    # The server.
    "port_out_of_range": Sentence(_("{port} is not a port"), _("Give one from 1024 to 65535 with --port.")),
    "port_in_use": Sentence(_("port {port} is in use"), _("Choose another with --port.")),
    "port_not_permitted": Sentence(
        _("the system does not permit this user to listen on port {port}"), _("Choose another with --port.")
    ),
    "host_unusable": Sentence(_("{host} cannot be listened on: {reason}"), _("Check --host.")),
    # How many regions the page lists.
    "page_regions": Sentence(_("{count} regions, {volume} in all")),
    "page_region": Sentence(_("1 region, {volume} in all")),
    "page_first_regions": Sentence(_("{count} regions, {volume} in all, the first {most} listed")),
    "page_no_region": Sentence(_("No region at this threshold")),
    "page_rejected": Sentence(_("{count} rejected before")),
    "page_rejected_one": Sentence(_("1 rejected before")),
}
