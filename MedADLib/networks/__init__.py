"""Networks: torch modules that operate on tensors, without files, geometry or scores of whole scans."""
