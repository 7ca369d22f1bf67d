"""How well a fit, or a way of fitting, foretells rows that it has not seen."""
