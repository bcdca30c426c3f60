"""Promises put to the test with faults, load and readers: each module is one command."""
