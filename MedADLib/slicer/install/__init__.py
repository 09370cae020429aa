"""What MedAD needs inside Slicer, and its installation."""
