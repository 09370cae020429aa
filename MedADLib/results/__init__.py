"""Results of a detection: files, tables, texts and figures."""
