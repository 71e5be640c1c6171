"""How good fills are: masks drawn as the papers draw them, measures of what was filled, and reports.

No engine needs this room, and this room knows no engine: a fill is any function of image and hole.
"""
