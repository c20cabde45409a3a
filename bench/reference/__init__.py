"""Programs in C: a broadcaster to compare with, and listeners that cost little."""
