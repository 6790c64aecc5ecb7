"""Recording from Python into tierscope traces, and making foreign dumps safe to import.

Nothing beyond the standard library is needed.
"""
