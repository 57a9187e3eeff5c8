"""Tools of others, by the Model Context Protocol; and ours, for others."""
