"""Images and edits on disk, and results in the output folder."""
