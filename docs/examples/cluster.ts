const url = process.argv[2] ?? 'memory://';

// #region connect
import { connect } from 'posthorn';

// rabbit://app:secret@rabbit-0,rabbit-1,rabbit-2/?durability=quorum
const transport = await connect(url, {
  rabbit: { durability: 'quorum', connectWithinMs: 120_000, connectionName: 'billing' },
  onStatus: (status) => console.log(status.state),
});
// #endregion connect
await transport.close();
