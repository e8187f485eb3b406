"""The metric ``closure``: do generated images close on the truth - on average, cell by cell, and jet by jet?

``closure`` is the component; ``jets`` and ``models`` say what is compared; ``wasserstein``, ``cells``, ``low``,
``posterior`` and ``two_sample`` each make one kind of number; the rest are figures.
"""
