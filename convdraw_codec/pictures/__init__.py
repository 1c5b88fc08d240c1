"""Pictures in and out, and metrics of them. No torch."""
