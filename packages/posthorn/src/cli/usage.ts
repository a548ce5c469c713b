/** A command line that makes no sense: exit code 2. */
export class UsageError extends Error {}

export const usage = `usage:
  posthorn call   <url> <topic>[@server] <method> [json-args]   prints the result as JSON
  posthorn cast   <url> <topic>[@server] <method> [json-args]
  posthorn fanout <url> <topic> <method> [json-args]
  posthorn ping   <url> <topic>[@server] [--wait 30s]
  posthorn serve  <url> <topic> <server> <module>               until SIGINT or SIGTERM
  posthorn notify <url> <event-type> [json-payload]
  posthorn listen <url>                                         a line for each notification, until SIGINT or SIGTERM
  posthorn publish   <url> <exchange> <routing-key> [json]      prints what became of it
  posthorn subscribe <url> <exchange> <pattern>                 a line for each message, until SIGINT or SIGTERM
  posthorn dlq list|show|redrive <url> <group> [id…]            the dead letters of a group or mailbox
  posthorn broker [--port 5672] [--host 127.0.0.1]              prints its URL, until SIGINT or SIGTERM; for development
  posthorn services run <config>                                hosts services, until SIGINT or SIGTERM

url: rabbit://user:password@host/vhost, rabbits:// (TLS), memory://

options:
  --namespace <name>      the endpoint's namespace
  --target-version <v>    the version the method must offer, like 1.0
  --exchange <name>       default: posthorn, with --wire oslo openstack
  --timeout <duration>    like 500ms, 5s, 2m (default 60s)
  --context <json>        an object that travels with the request
  --wire <name>           native (default), or oslo for Python's oslo.messaging
  --driver <module>       a module that exports { scheme: factory }, for other URLs
  --topic <name>          notify, listen: default notifications; may be repeated
  --priority <p>          notify: default info; listen: default all, may be repeated
  --publisher-id <id>     notify, publish: default posthorn.<host>
  --pool <name>           listen: share with other listeners of the pool
  --event-type <regex>    listen: only these
  --wait <duration>       ping: wait that long for a server to appear
  --type <name>           publish: the type of the message; default its routing key
  --type-version <v>      publish: of the type; default 1.0
  --delay <duration>      publish: deliver it no sooner than this
  --ttl <duration>        publish: after this long nobody wants it
  --cloud-events <mode>   publish: as a CloudEvent, structured or binary
  --sign-key <key>        publish: sign it (HMAC-SHA256). A key is id:env:NAME, its secret in the environment;
                          id:file:path, the first line of a file; or id:secret, which others on the machine can see
  --verify-key <key>      subscribe: refuse what is not signed with one of these keys; may be repeated
  --group <name>          subscribe: share with others of the group; its messages wait while none of them is there
  --json                  dlq list, dlq show: a line of JSON for each
  --port <number>         broker: default 5672, 0 for any that is free
  --host <name>           broker: where to listen; default 127.0.0.1, this machine alone
  --user <name:password>  broker: the only one to be let in; default everybody
  --help, --version
`;
