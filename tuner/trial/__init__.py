"""What one trial does: data, frozen prefix, features, training. Knows no Ray, no study and no search."""
