"""One module per law. Each says how many rows it looked at, and differs when that is not every row there is."""
