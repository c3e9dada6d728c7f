"""Sources of randomness: one interface, and a file for each library with random numbers."""
