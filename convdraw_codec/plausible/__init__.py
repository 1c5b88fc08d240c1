"""Plausible pictures: texture where few bytes are stored."""
