"""What to try next, from what is known. Knows no Ray and trains nothing."""
