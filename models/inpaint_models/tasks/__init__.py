"""The way models that do not fill are used: each runner checks, converts, watches memory and calls the engine.

Filling has its own, larger room: pipeline/.
"""
