"""Reading of volumes, DICOM series and 2-D images, checks of their headers, and writing of NIfTI."""
