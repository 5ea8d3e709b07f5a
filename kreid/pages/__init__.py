"""What HTML pages are made of: markup, templates, style and script. Imports the standard library alone."""

from kreid.pages.markup import element, fill, notes, percent

__all__ = ["element", "fill", "notes", "percent"]
