"""Where the model knows the repository: numbers for every file, and a picture of them.

Owns the sampling of places, what is measured there, and the treemap as a page and as a picture. It does not know the
command line.
"""
