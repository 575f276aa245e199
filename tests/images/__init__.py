"""The container image and what runs it."""
