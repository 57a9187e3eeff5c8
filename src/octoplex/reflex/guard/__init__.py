"""The guard: what may not pass, in a request or its reply, is found and replaced, or refused."""
