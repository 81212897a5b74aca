"""lam3db: a database of safety evaluations of multimodal models.

Every link of the chain (model version, config, sample, generation, judge, score) is a row
that never changes, under a key made from its content. See ``README.md`` for use.
"""

__version__ = "0.1.0"
