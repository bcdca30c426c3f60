"""What the contract says that more than one model needs, a rule a file."""
