import { connect, type Transport } from 'posthorn';

/** Where the examples run: at the URL that the program is given, else inside the process. */
export const transport: Transport = await connect(process.argv[2] ?? 'memory://');
