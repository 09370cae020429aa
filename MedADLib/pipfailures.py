"""What went wrong in an installation, told from what pip said, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterable

OFFLINE = (
    "On a computer with internet and the same system and Python version, run 'pip download --no-deps' for each package "
    "into a folder; bring the folder here and run 'PythonSlicer -m pip install --no-index --no-deps --find-links "
    "FOLDER' with the packages"
)

# The first that matches counts, so causes come before their consequences.
_CAUSES: tuple[tuple[str, str, str], ...] = (
    (
        r"No space left on device|Errno 28\b|WinError 112\b|not enough space on the disk",
        "the disk is full",
        "Free some space on the disk that has Slicer and on that of temporary files, then run again.",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLCertVerificationError",
        "the package server's certificate was not accepted, as happens behind a firewall that reads the traffic",
        f"Ask your IT for the certificate or proxy to set (PIP_CERT, HTTPS_PROXY). Or install offline. {OFFLINE}.",
    ),
    (
        r"ProxyError|Tunnel connection failed|407 Proxy",
        "the proxy server did not let the download through",
        f"Set HTTPS_PROXY as your IT says and start Slicer again. Or install offline. {OFFLINE}.",
    ),
    (
        r"NewConnectionError|NameResolutionError|Failed to establish a new connection|name resolution|getaddrinfo"
        r"|ConnectTimeout|ReadTimeout|Read timed out|Connection refused|Network is unreachable|Connection aborted"
        r"|Connection broken|ConnectionResetError|RemoteDisconnected|Max retries exceeded",
        "there is no connection to the package server",
        f"Connect to the internet and run again. Or install offline. {OFFLINE}.",
    ),
    (
        r"WinError 5\b|WinError 32\b|being used by another process",
        "files of a package are in use",
        "Restart Slicer, and run MedAD before any other module.",
    ),
    (
        r"WinError 206\b|[Ll]ong [Pp]ath",
        "the path of a file is too long for Windows",
        "Enable long paths in Windows, or install Slicer into a folder with a short path.",
    ),
    (
        r"Permission denied|Errno 13\b|Read-only file system|Errno 30\b",
        "Slicer's folder cannot be written",
        "Install Slicer into a folder of your own, or start it once with the rights of an administrator.",
    ),
    (
        r"uninstall-no-record-file|no RECORD file was found",
        "an earlier installation of a package was interrupted, and pip cannot replace what is left of it",
        "Delete the folders of the package that the log names from Slicer's site-packages, or install Slicer again.",
    ),
    (
        # Seen with light-the-torch 0.8.1, which knows pip 23.2 but not 24.0 and later.
        r"light_the_torch[\s\S]*(TypeError|ImportError|AttributeError)",
        "the PyTorch extension's installer (light-the-torch) does not work with this Slicer's pip",
        "Update the PyTorch extension in the Extension Manager. If it is up to date, install PyTorch in Slicer's "
        "Python console by slicer.util.pip_install('torch>=2.3'), then run again.",
    ),
    (
        r"ResolutionImpossible|conflicting dependencies|Cannot install .* because",
        "the packages do not fit what Slicer has",
        "Update Slicer and MedAD. If other extensions brought packages of their own, try in a fresh Slicer.",
    ),
    (
        r"No matching distribution found|Could not find a version that satisfies|not a supported wheel",
        "no build of a package fits this computer and Slicer's Python",
        f"Is there an internet connection? If so, update Slicer and MedAD. Without one: {OFFLINE}.",
    ),
    (
        r"HASHES|IncompleteRead|invalid wheel|BadZipFile|CRC-32",
        "a download was damaged",
        "Run again.",
    ),
)


def explain(said: Iterable[str]) -> tuple[str, str]:
    """Problem and remedy of a failed installation.

    Args:
        said: The lines that pip wrote.
    """
    text = "\n".join(said)
    for pattern, problem, remedy in _CAUSES:
        if re.search(pattern, text):
            return problem, remedy
    return "pip failed", "See the log for what it said. Restart Slicer and run again."
