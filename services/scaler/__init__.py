"""The scaler: which nodes leave, and later when to grow, shrink and heal."""
