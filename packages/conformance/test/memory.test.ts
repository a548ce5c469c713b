import { describeDriver } from '@posthorn/conformance';
import { type Driver, type DriverContext, MemoryFaults, memory, newId } from '@posthorn/core';

const OUTAGE_MS = 20;

const name = newId();
const faultsOf = new Map<Driver, MemoryFaults>();

describeDriver('the memory driver', {
  async connect(context: DriverContext) {
    const faults = new MemoryFaults();
    const driver = await memory(context, { name, faults });
    faultsOf.set(driver, faults);
    return driver;
  },
  async breakConnection(driver: Driver) {
    const faults = faultsOf.get(driver);
    faults?.disconnect();
    setTimeout(() => faults?.reconnect(), OUTAGE_MS);
  },
  async block() {
    for (const faults of faultsOf.values()) faults.block();
    return async () => {
      for (const faults of faultsOf.values()) faults.unblock();
    };
  },
});
