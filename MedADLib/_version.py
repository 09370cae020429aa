"""The version of MedAD; nothing else, so that every module can ask."""

__version__ = "0.1.0"
