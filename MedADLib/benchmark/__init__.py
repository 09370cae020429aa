"""``medad benchmark``: how long things take, and how many times faster they are than without our engine."""
