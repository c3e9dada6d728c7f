"""What a distribution is, and everything that follows from it, as functions of its state."""
