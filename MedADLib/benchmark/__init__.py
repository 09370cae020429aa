"""Speed of detections and of their parts, compared with other algorithms (``medad benchmark``)."""
