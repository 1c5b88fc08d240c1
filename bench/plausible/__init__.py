"""Plausible pictures, where few bytes are stored."""
