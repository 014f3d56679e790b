"""Tables of a report with the words around them, in Markdown: each module writes those of one question."""
