"""``medad view``: show the results of ``medad detect`` in a web browser, without Slicer or from a server."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    from ..runtime.progress import Progress

NEEDED = ("slicer", "trame_slicer", "trame_server", "trame_client", "trame_rca")
REMOTE = """\
Examples:
  medad view results
  medad view results --scan scan.nii.gz --no-open --port 8765

On a server without a screen, run `medad view OUTDIR --no-open --port 8765` there, and on your own computer
`ssh -L 8765:127.0.0.1:8765 YOU@SERVER`; then open the printed address in your own browser.

All browsers on one address show the same views: a change in one changes all. For separate views, run `medad view`
again; it uses another port.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``medad view``."""
    parser.description = "Show the results of medad detect in a web browser."
    parser.epilog = REMOTE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("folder", type=Path, metavar="OUTDIR", help="output folder of medad detect")
    parser.add_argument("--scan", type=Path, metavar="FILE", help="the scan, if its file has moved")
    parser.add_argument("--port", type=int, metavar="N", help="port to listen on (default 8765, or any free port)")
    host = "address to listen on (default 127.0.0.1, this computer only)"
    parser.add_argument("--host", default="127.0.0.1", help=host)
    parser.add_argument("--no-open", action="store_true", help="print the address only, and do not open a browser")


def run(args: argparse.Namespace, progress: Progress | None = None) -> int:
    """Show results until Ctrl-C."""
    from ..results.reading import of_scan, reopen_decided, stored_results
    from ..runtime.progress import Progress

    progress = progress or Progress()
    results = stored_results(args.folder)
    if args.scan is not None:
        results = of_scan(results, args.scan)
    if any(importlib.util.find_spec(name) is None for name in NEEDED):
        raise InputError("view_packages_missing")

    import asyncio

    from ..browser.serving import free_port, serve

    port = free_port(args.host, args.port)
    progress.stage("reading", 0.0, 0.5)
    # Read before the page opens, so that an error is printed where the user looks.
    first = {results[0].stem: reopen_decided(results[0], args.scan, progress)}
    progress.stage("preparing the views", 0.5, 1.0)

    from ..browser.viewer import Viewer

    def start(server: object) -> Viewer:
        viewer = Viewer(
            server, results, lambda stored: first.pop(stored.stem, None) or reopen_decided(stored, args.scan)
        )
        viewer.show(results[0].stem)
        progress.finish()
        return viewer

    def ready(address: str) -> None:
        print(f"{len(results)} result{'s' * (len(results) > 1)} at {address}", flush=True)
        print("Press Ctrl-C to stop.", flush=True)
        if not args.no_open and _has_screen():
            import webbrowser

            webbrowser.open(address)

    asyncio.run(serve(start, args.host, port, ready))
    return 0


def _has_screen() -> bool:
    """Check for a screen; without one, Python starts a browser in the terminal."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
