"""Triangles: the QR fold, triangular solves, the rank report, rounding bounds."""
