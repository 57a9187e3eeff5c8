"""Programs that run where they can harm nothing but the folder they were given.

The door is `Sandbox.run` (`sandbox.py`); everything else here is how it keeps its promise.
"""
