"""A configuration and a transport from command line arguments."""

import argparse

import oslo_messaging
from oslo_config import cfg
from oslo_messaging.conffixture import ConfFixture


def parser(description):
    """The arguments that every peer takes."""
    it = argparse.ArgumentParser(description=description)
    it.add_argument('url', help='rabbit://user:password@host:port/vhost')
    it.add_argument('--exchange', help='the control exchange (openstack)')
    it.add_argument('--option', action='append', default=[], metavar='GROUP.NAME=VALUE',
                    help='any option of oslo.messaging; the group DEFAULT for those without one')
    it.add_argument('--allow-module', action='append', default=[],
                    help='a module whose exceptions may be re-created from what a peer sends')
    return it


def configure(args, **overrides):
    """Options must be set before the driver reads them, so they come before the transport."""
    conf = cfg.CONF  # the global one: parts of oslo.messaging (ping, metrics) read no other
    conf([], project='peer', default_config_files=[], default_config_dirs=[])
    ConfFixture(conf, transport_url=args.url)  # registers the options of every group
    if args.exchange:
        conf.set_override('control_exchange', args.exchange)
    for option in args.option:
        path, _, value = option.partition('=')
        group, _, name = path.rpartition('.')
        conf.set_override(name, value, group=None if group in ('', 'DEFAULT') else group)
    for name, value in overrides.items():
        conf.set_override(name, value)
    return conf


def open_transport(args, **overrides):
    """For RPC."""
    conf = configure(args, **overrides)
    return oslo_messaging.get_rpc_transport(conf, url=args.url, allowed_remote_exmods=args.allow_module)


def open_notification_transport(args):
    return oslo_messaging.get_notification_transport(configure(args), url=args.url)
