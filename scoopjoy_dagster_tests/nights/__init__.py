"""Whole nights of the real processes under one simulated clock."""
