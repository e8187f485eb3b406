"""The task ``superres_gan``: the thesis's adversarial networks, which the sparse likelihood model is measured against.

``game`` pits the ``generator`` against the discriminators; ``loss`` compares images, ``merits`` say when to stop.
"""
