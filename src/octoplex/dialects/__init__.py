"""Each wire dialect, both directions, as pure functions and push machines. No I/O, ever."""
