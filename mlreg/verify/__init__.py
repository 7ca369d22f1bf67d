"""The laws that the mathematics promises, and strategies to test them with.

``mlreg.verify.laws`` states each law once, as a function; ``mlreg.verify.strategies``
makes the problems (it needs Hypothesis: ``pip install 'mlreg[verify]'``).
"""
