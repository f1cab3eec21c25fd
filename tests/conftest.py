"""What every test may rely on."""
import signal

import pytest


@pytest.fixture(autouse=True, scope="session")
def default_interrupt():
    """SIGINT raises KeyboardInterrupt, also where the shell that started pytest in the background lets it be ignored."""
    was = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, was)
