"""How nodes of ours are known in a scene."""

ROLE = "MedAD.role"
INPUT = "MedAD.input"
