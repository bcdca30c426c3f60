"""The contract's rules that several models share, a rule a file."""
