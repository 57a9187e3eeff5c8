"""`make soak`: hours of mixed traffic over failing providers, and the money counted afterwards."""
