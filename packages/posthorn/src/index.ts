export * from '@posthorn/core';
export * from '@posthorn/notify';
export * from '@posthorn/oslo';
export * from '@posthorn/rabbit';
export * from '@posthorn/rpc';
export { type ConnectOptions, connect, type DriverFactory } from './connect.ts';
export { routingFile } from './routing-file.ts';
