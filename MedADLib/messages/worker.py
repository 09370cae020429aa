"""Sentences of the package `worker`, by code."""

from . import Sentence as S
from . import mark as _

SENTENCES = {
    "busy": S(_("a detection is running"), _("Wait for its end or cancel it.")),
    "request_not_json": _("a request is not valid JSON ({reason})"),
    "request_not_an_object": _("a request is not a JSON object"),
    "unknown_request": _("there is no request {request}"),
    "bad_request": _("{reason}"),
    "progress_scan": _("reading the scan"),
    "progress_model": _("loading {model}"),
}
