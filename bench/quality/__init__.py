"""Quality of pictures at the bytes that they take."""
