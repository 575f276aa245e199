"""One folder per outside system; each knows ports, domain and errors, and no sibling."""
