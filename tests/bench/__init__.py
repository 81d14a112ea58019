"""Benchmarks: each figure is a ratio to a limit measured in the same run. Programs, not tests; `plumbline bench` runs them.

`measure` compares, `scratch` makes databases that nobody else uses, `world` fills them; every other module is one case with its
name, its unit, its goal, and `run`.
"""
