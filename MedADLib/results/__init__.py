"""What a detection leaves behind: files, tables, texts and figures."""
