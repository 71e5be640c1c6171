"""The endpoints: parse, call, answer. What is decided here is only how things look on the wire."""
