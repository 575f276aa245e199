"""What stands between a run and its models."""
