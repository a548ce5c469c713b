export { Lab } from '@posthorn/conformance';
