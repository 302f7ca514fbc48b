"""The one app of the project: things on shelves."""
