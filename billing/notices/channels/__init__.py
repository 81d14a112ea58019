"""Ways out of the house. `port` says what a channel is; each adapter is one file."""
