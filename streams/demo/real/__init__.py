"""Real systems for the demo: Tryton (an ERP on Postgres) and Creme (a CRM on MariaDB), and people who use them.

Both are fetched from PyPI into environments of their own, by lock files with checksums. They are run, never shipped.
"""
