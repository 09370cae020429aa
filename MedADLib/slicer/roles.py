"""How nodes of ours are known in a scene."""

ROLE = "MedAD.role"
INPUT = "MedAD.input"
# The former ID of the scan of a result whose scan is gone.
ORPHAN = "MedAD.orphanOf"
