"""Tests promises with faults, load and readers: each module is one command."""
