"""Runs compared, as one offline HTML page."""
