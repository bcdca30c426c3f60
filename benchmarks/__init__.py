"""How fast a build is, beside the floor that reading, parsing and storing the events once sets."""
