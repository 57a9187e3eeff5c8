"""A goal goes in, a checked result comes out."""
