"""What carries out the steps of a plan."""
