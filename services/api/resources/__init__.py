"""Routes: translate HTTP to actions and back."""
