"""Ways to reach a contact, one module each."""
