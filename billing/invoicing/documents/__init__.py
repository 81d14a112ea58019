"""The document itself: one frozen model from the stored snapshot, shown as a page, printed as a PDF by a worker process."""
