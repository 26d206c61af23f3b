"""The names by which test_console_decisions.py knows the console client and the wait."""

from tests.console_client import console_with_people as console_of
from tests.console_client import submit
from tests.waiting import wait_for as until

__all__ = ["console_of", "submit", "until"]
