"""farfield: which published ways to generalize carry over to your own data and model.

Near field is the distribution you trained on; far field is everything else. Every part is usable alone:

>>> from farfield import tasks
>>> tasks.load("digits/rotation").inputs
Image(channels=1, height=8, width=8)
"""

__version__ = "0.1.0"
