"""MAT: a mask-aware transformer that gives another answer for each seed."""
