"""Examples of hooking the recorder into serving engines. Each file says which version it was read from."""
