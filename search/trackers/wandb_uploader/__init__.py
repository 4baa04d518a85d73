"""The process that owns every Weights & Biases run of a search.

Started as a package of its own beside this one: it needs nothing of `tripletune`, whose imports
would only cost it memory. It inherits the login and the settings of W&B from its environment; none
of them passes through the messages.
"""
