"""Networks: torch modules that know tensors only, no files, geometry or scores of a whole scan."""
