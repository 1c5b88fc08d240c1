"""Training: ``recipe`` says what, ``loop`` runs, ``networks`` are what is trained of the codec."""
