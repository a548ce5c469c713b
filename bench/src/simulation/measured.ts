/**
 * What one process costs its broker, as `broker-cost` measured it: RabbitMQ 3.10.8 with socket buffers of 32 KiB, on a machine of
 * two cores that others used as well.
 */
export const COSTS = {
  /** Sockets that the kernel keeps until they are taken: RabbitMQ's default. */
  backlog: 128,
  acceptCpuMs: 0.13,
  connection: { setUpCpuMs: 1.2, clientCpuMs: 1.2 },
} as const;
