"""The web console: pages for people, made of what the HTTP API answers, and of nothing else (docs/adr/0069)."""
