"""Functions that models call and the service runs."""
