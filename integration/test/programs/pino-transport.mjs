// The transport out of its source: the thread that pino starts does not know of TypeScript.
import { register } from 'tsx/esm/api';

register();

export default async (options) => {
  const { default: transport } = await import('posthorn/pino-transport');
  return await transport(options);
};
