"""The map of the API: one entry per route, one file for each kind of thing it is about."""
