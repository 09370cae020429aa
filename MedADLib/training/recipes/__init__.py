"""Training recipes: one module for each family of methods."""
