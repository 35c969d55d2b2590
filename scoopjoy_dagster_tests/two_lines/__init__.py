"""Tests of the whole close on every line of ERPNext and in both modes of its tills."""
