"""What every request passes before a route sees it, one check in each module; `asgi` puts them in order."""
