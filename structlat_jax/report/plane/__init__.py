"""Everything that draws or tells places in a plane: paths, goals, and the discs around them.

Driven by `envs.base.Plane`; an environment without one is never seen here.
"""
