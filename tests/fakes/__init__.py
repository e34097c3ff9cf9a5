"""Small twins of real parts, named for how they misbehave, for faults that a real part cannot be made to show."""
