"""Measurements that people run by hand; their figures stand in the documents, with the machine named."""
