"""What a person reads of a run: one page of HTML, one of Markdown, and tidy tables."""
