"""Photos without a server: one or whole folders of them, and what is looked for in them."""
