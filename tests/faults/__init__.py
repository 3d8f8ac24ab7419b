"""What the product does when something dies, is cut off, or lies: `make faults`. An independent recorder knows the truth."""
