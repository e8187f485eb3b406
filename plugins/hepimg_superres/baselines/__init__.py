"""The task ``superres_baseline``: simple ways to divide a cell, which any model has to beat.

``blocks`` are fine cells side by side, as one coarse cell holds them; ``patches`` those of the training set; each other
module is a way to choose among them.
"""
