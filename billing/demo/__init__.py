"""A believable small cloud with a fixed seed, made through the same services that real data uses."""
