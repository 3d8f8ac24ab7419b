"""Homes and devices with their scenarios and the alerts each must raise."""
