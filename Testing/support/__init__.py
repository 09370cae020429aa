"""What tests share: synthetic scans and detections, phantoms, toy models, stand-ins for processes."""
