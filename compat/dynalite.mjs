// Serves dynalite, an implementation of DynamoDB that is not ours, in memory on a
// loopback port: node dynalite.mjs PORT, of which 0 is any that is free. Prints its
// address, and ends on SIGTERM or with its standard input, so that it never outlives
// the program that started it. A request that dynalite stumbles over loses its
// connection, and is all that is lost.
import dynalite from "dynalite";

const server = dynalite({ createTableMs: 0, deleteTableMs: 0, updateTableMs: 0 });
server.on("error", (err) => {
  console.error(`dynalite.mjs: ${err.message}`);
  process.exit(1);
});
process.on("uncaughtException", (err) => {
  console.error(err);
  server.closeAllConnections();
});
server.listen(Number(process.argv[2] ?? 0), "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${server.address().port}`);
});
process.on("SIGTERM", () => process.exit(0));
process.stdin.on("close", () => process.exit(0)).resume();
