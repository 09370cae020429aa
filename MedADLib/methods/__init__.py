"""Detection methods of the literature; `registry` lists them."""
