"""Exceptions that a client re-creates when it is started with --allow-module peers.errors."""


class PeerError(Exception):
    """Carries keyword arguments: oslo.messaging sends `kwargs` along and constructs the remote copy with them."""

    def __init__(self, message='', **kwargs):
        super().__init__(message)
        self.kwargs = kwargs
