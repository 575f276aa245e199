"""Pure values: ids, messages and parts, assistants, runs, events, usage."""
