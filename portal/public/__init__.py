"""Pages without sign-in: health for machines, and whether a document is genuine."""
