"""Where usage comes from: one module per source, each turning its own words into the facts of `port`."""
