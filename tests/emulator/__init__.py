"""The whole command line against an emulator of BigQuery."""
