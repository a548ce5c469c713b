import type { Retention, Transport } from '@posthorn/core';
import type { Discovery } from './discovery.ts';
import { EntryPoint } from './entry-point.ts';
import type { Lanes } from './layout.ts';
import type { Params, ServiceHeaders } from './messages.ts';
import { type ServiceProxy, serviceProxy, type UntypedRemotes } from './proxy.ts';
import { Sender } from './sender.ts';

export interface ServiceClientOptions {
  readonly discovery: Discovery;
  /** Who sends, for tracing; answers of calls go to its service, unless told otherwise. */
  readonly source: string;
  readonly context?: Params;
  readonly headers?: ServiceHeaders;
  /** As the services have it. Default `split`. */
  readonly lanes?: Lanes;
  /** As the services have it. */
  readonly retention?: Retention;
}

/**
 * A proxy for programs that are no service: `client.test_hello.hello({ param: 1 }).cast()`. All its messages go through
 * the transport's one connection, and may be sent at the same time. Holds nothing that needs closing.
 *
 * @throws {ServiceError} `FieldMustFullyDefined` without a source
 */
export function serviceClient<Remotes = UntypedRemotes>(
  transport: Transport,
  { discovery, source, context = {}, headers = {}, lanes = 'split', retention }: ServiceClientOptions,
): ServiceProxy<NoInfer<Remotes>> {
  const sender = new Sender(transport, { discovery, lanes, retention });
  return serviceProxy<Remotes>({
    source: EntryPoint.required(source ?? '', 'source'),
    context,
    headers,
    send: (message) => sender.send(message),
  });
}
