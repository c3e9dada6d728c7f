"""Rows of NumPy arrays: arrays in, arrays out; ``ways`` decides which way serves a shape."""
