"""What the engine needs from outside, in the domain's words."""
