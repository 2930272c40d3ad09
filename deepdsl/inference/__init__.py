"""Trained models at work: prediction, export, folding, quantization, Monte Carlo dropout."""
