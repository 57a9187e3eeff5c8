"""What agents remember: facts, notes and history of one owner, found by words and by likeness."""
