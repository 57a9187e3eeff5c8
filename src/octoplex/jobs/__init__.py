"""Long work: batches, whose lines are answered one by one when there is time."""
