"""What HTML pages are made of: templates, style, script. Imports the standard library, Jinja2 and MarkupSafe alone."""

from kreid.pages.markup import element, fill, fill_page, percent

__all__ = ["element", "fill", "fill_page", "percent"]
