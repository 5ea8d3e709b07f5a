"""An HTML page as tests read it."""

import json
from html.parser import HTMLParser


class Parsed(HTMLParser):
    """Elements of a page as (tag, attributes), and the text of those that have an id."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.texts, self._inside = [], {}, ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        self._inside = attributes.get("id", tag)

    def handle_data(self, data):
        self.texts[self._inside] = self.texts.get(self._inside, "") + data

    @property
    def data(self):
        return json.loads(self.texts["data"])
