"""How each method learns, one module a family of methods."""
