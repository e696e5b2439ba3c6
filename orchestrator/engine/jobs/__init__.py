"""The use cases, one module a question. Each takes plans or facts and the ports, and returns data.

Loading files and choosing who answers a port is `wiring`'s; drawing and typing is the interfaces'.
"""
