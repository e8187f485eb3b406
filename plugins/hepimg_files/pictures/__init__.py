"""Pictures of anything, to try on them what was made for jets."""
