"""The task ``lagan``: the location-aware adversarial networks that a sparse generator is measured against.

``game`` pits the ``generator`` against the ``discriminator``; both are made of ``locally_connected`` layers, and the
discriminator looks at whole batches (``minibatch``); ``merits`` say which generator is kept.
"""
