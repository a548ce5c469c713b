export { Lab, type LabClientOptions, type ServeOptions } from '@posthorn/conformance';
