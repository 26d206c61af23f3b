"""How many digits a currency has after the point. Source: ISO 4217, List One, as SIX publishes it (2026-01-01)."""

from __future__ import annotations

EXPONENTS = dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0)
EXPONENTS |= dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3) | {"CLF": 4, "UYW": 4}
"""Currencies whose minor unit is not a hundredth."""
