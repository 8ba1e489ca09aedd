"""Queries, one file a subject. Every function takes the caller's connection; the caller owns the transaction."""
