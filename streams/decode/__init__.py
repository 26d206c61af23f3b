"""Debezium envelope → RowChange."""
