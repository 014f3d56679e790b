"""Forward problems solved by finite elements, one sample at a time or many at once."""
