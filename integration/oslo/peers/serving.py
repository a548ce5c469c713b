"""To start what receives, and to know that it does."""

import threading

try:
    from oslo_messaging._drivers.amqp1_driver import controller
except ImportError:  # there is no driver for AMQP 1.0 without pyngus, nor after version 14
    controller = None

_attached = threading.Condition()
_PATIENCE = 20  # seconds


def serve(transport, server):
    """Starts a server or a listener of the transport, and returns when it receives.

    Its `start()` alone does not tell: over AMQP 1.0 it returns when the links are asked for, before the broker has them.
    """
    server.start()
    processor = getattr(transport._driver, '_ctrl', None)  # of the AMQP 1.0 driver alone
    if processor is None:
        return
    with _attached:
        if not _attached.wait_for(lambda: _receives(processor), _PATIENCE):
            raise TimeoutError(f'the broker had not all links after {_PATIENCE} s')


def _receives(processor):
    of_targets = list(processor._servers.values())
    groups = [group for of_target in of_targets for group in list(of_target.values())]
    return all(group._receivers and all(link.active for link in group._receivers) for group in groups)


def _tell(_group, _link):
    with _attached:
        _attached.notify_all()


if controller is not None:
    controller.Server.receiver_active = _tell  # pyngus calls it for each link; the driver leaves it empty
