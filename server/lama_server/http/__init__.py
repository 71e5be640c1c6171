"""HTTP itself: middleware, forms, JSON, streams, static files and the running of the server."""
