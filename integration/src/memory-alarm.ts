/** Anything on which `rabbitmqctl` can be run. */
export interface Controlled {
  ctl(...args: readonly string[]): Promise<string>;
}

export interface MemoryAlarm extends AsyncDisposable {
  clear(): Promise<void>;
}

/** Makes a broker of our own take itself for full: it reads no more from connections that publish, until `clear`. */
export async function raiseMemoryAlarm(broker: Controlled): Promise<MemoryAlarm> {
  await broker.ctl('set_vm_memory_high_watermark', '0.00001');
  const clear = async (): Promise<void> => void (await broker.ctl('set_vm_memory_high_watermark', 'absolute', '1GB'));
  return { clear, [Symbol.asyncDispose]: clear };
}
