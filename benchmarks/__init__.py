"""Measures builds beside a floor: reading, parsing and storing the events once."""
