"""The engines: how each connects, reads the sources, builds and publishes."""
