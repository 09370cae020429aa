"""Images on disk: reading, headers, DICOM, pictures and writing NIfTI."""
