"""The conversation with the test: one JSON value a line, on standard input and output."""

import json
import sys
import threading

_turn = threading.Lock()


def say(**event):
    """Prints one line, whole, from any thread. NaN and Infinity are printed bare, as oslo.messaging sends them."""
    text = json.dumps(event, ensure_ascii=False, default=str)
    with _turn:
        sys.stdout.write(text + '\n')
        sys.stdout.flush()


def hear():
    """Yields what the test says, until it closes its end: a test that died must not leave its peers behind."""
    for line in sys.stdin:
        if line.strip():
            yield json.loads(line)
