"""The metric ``distances``: how far generated jets are from true ones, in the space of many observables at once.

``distances`` is the component; ``frechet`` and ``kernel`` each make one kind of number.
"""
