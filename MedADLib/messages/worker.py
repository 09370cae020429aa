"""Sentences of the package `worker`, by code."""

from __future__ import annotations

from . import Sentence
from . import mark as _

SENTENCES: dict[str, Sentence] = {
    "busy": Sentence(_("a detection is running"), _("Wait for its end or cancel it.")),
    "request_not_json": Sentence(_("a request is not valid JSON ({reason})")),
    "request_not_an_object": Sentence(_("a request is not a JSON object")),
    "unknown_request": Sentence(_("there is no request {request}")),
    "bad_request": Sentence(_("{reason}")),
    "progress_scan": Sentence(_("reading the scan")),
    "progress_model": Sentence(_("loading {model}")),
}
