"""A notification listener for interoperability tests.

    listen.py URL TOPIC... [--pool P] [--priority P ...] [--publisher-id REGEX] [--event-type REGEX]
              [--requeue EVENT] [--batch SIZE --batch-timeout SECONDS]
              [--exchange X] [--option GROUP.NAME=VALUE ...]

Prints {"event": "ready"} when it listens, {"event": "heard", ...} for each notification, and {"event": "batch",
"size": N} before those of a batch. With --requeue the first delivery of that event type is put back. Reads {"do": "stop"}.
"""

import os

import oslo_messaging

from peers.lines import hear, say
from peers.serving import serve
from peers.transport import open_notification_transport, parser

PRIORITIES = ['audit', 'debug', 'info', 'warn', 'error', 'critical', 'sample']


class Endpoint:
    def __init__(self, priorities, requeue, publisher_id, event_type):
        self.requeue = requeue
        if publisher_id or event_type:
            self.filter_rule = oslo_messaging.NotificationFilter(publisher_id=publisher_id, event_type=event_type)
        for priority in priorities:
            setattr(self, priority, self.method(priority))

    def hear(self, priority, ctxt, publisher_id, event_type, payload, metadata):
        say(event='heard', priority=priority, ctxt=ctxt, publisher_id=publisher_id, event_type=event_type,
            payload=payload, metadata=metadata)
        if event_type == self.requeue:
            self.requeue = None
            return oslo_messaging.NotificationResult.REQUEUE
        return oslo_messaging.NotificationResult.HANDLED

    def method(self, priority):
        def single(ctxt, publisher_id, event_type, payload, metadata):
            return self.hear(priority, ctxt, publisher_id, event_type, payload, metadata)
        return single


class BatchEndpoint(Endpoint):
    def method(self, priority):
        def batch(messages):
            say(event='batch', priority=priority, size=len(messages))
            for one in messages:
                self.hear(priority, **one)
            return oslo_messaging.NotificationResult.HANDLED
        return batch


def main():
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument('topics', nargs='+', metavar='topic')
    arguments.add_argument('--pool')
    arguments.add_argument('--priority', action='append', default=[])
    arguments.add_argument('--publisher-id')
    arguments.add_argument('--event-type')
    arguments.add_argument('--requeue')
    arguments.add_argument('--batch', type=int)
    arguments.add_argument('--batch-timeout', type=float, default=1)
    args = arguments.parse_args()
    transport = open_notification_transport(args)
    targets = [oslo_messaging.Target(topic=topic) for topic in args.topics]
    kind = Endpoint if args.batch is None else BatchEndpoint
    endpoint = kind(args.priority or PRIORITIES, args.requeue, args.publisher_id, args.event_type)
    options = {'executor': 'threading', 'pool': args.pool, 'allow_requeue': True}
    if args.batch is None:
        listener = oslo_messaging.get_notification_listener(transport, targets, [endpoint], **options)
    else:
        listener = oslo_messaging.get_batch_notification_listener(
            transport, targets, [endpoint], batch_size=args.batch, batch_timeout=args.batch_timeout, **options)
    serve(transport, listener)
    say(event='ready')
    for request in hear():
        if request['do'] == 'stop':
            break
    # Not listener.stop(): it waits for the end of a poll, up to five seconds.
    os._exit(0)


if __name__ == '__main__':
    main()
