"""Training: ``configuration`` says what, ``loop`` runs, ``codec`` and ``likelihood`` are what is trained."""
