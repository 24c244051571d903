"""A series or NIfTI file in; one head image in LPS mm, its admission, labels and volumes out."""
