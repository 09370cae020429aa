"""Detection methods from the literature; `registry` lists them."""
