"""What an agent may run: the grammar of each command's words."""
