"""The directory's way in and out: areas, residents, contacts, devices, policies and operators as JSON or CSV files."""
